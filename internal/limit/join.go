package limit

import "errors"

// Join makes one answer of the answers of a claim's parts, in the order of
// Claim.Parts: a nil error, ErrStale or a *Denied for each, and the Standing where
// the error is nil. It is stale if any part is, for then nobody knows what would
// hold; else denied by the limit of all that keeps the caller waiting longest.
func Join(claim *Claim, standings []Standing, errs []error) (Standing, error) {
	var stale []string
	var worst *State
	joined := make([]Standing, len(standings))
	for i, err := range errs {
		joined[i] = standings[i]
		var denied *Denied
		switch {
		case errors.Is(err, ErrStale) && i == 0:
			return Standing{}, ErrStale
		case errors.Is(err, ErrStale):
			stale = append(stale, claim.Also[i-1].Subject)
		case errors.As(err, &denied):
			joined[i] = denied.Standing
			if worst == nil || denied.after(worst) {
				worst = &denied.State
			}
		}
	}
	if len(stale) > 0 {
		return Standing{}, &StaleShares{stale}
	}
	st := joined[0]
	if len(joined) > 1 {
		st.Also = joined[1:]
	}
	if worst != nil {
		return Standing{}, &Denied{State: *worst, Standing: st}
	}
	return st, nil
}

// Without is how the limits stand once the claim that they stand with is released.
func (st Standing) Without(claim *Claim) Standing {
	limits := make([]State, len(st.Limits))
	for i, s := range st.Limits {
		s.Used -= s.Ask
		limits[i] = s
	}
	st.Limits = limits
	st.Spent -= claim.Cost
	return st
}
