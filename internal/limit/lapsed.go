package limit

import "tollgate/internal/gateway"

// Lapsed are the settlements of the expired reservations that were seen, by what was
// reserved: one for each, on all counter items where it was seen. The key is that
// of the claim; calls of other keys are seen on shares only. The events are in need
// of an ID and of what else is known of the call.
func (st *Standing) Lapsed(keyHash, keyID string) []*Settlement {
	var list []*Settlement
	byName := make(map[[2]string]*Settlement)
	settlement := func(r Reservation, keyID string) *Settlement {
		s := byName[[2]string{keyID, r.ID}]
		if s == nil {
			s = &Settlement{Reservation: r, Tokens: r.Tokens, Cost: r.Cost, Event: gateway.Event{
				ReservationID: r.ID, KeyID: keyID, At: r.At,
				Tokens: r.Tokens, Cost: r.Cost, Basis: gateway.BasisReserved, Expired: true,
			}}
			byName[[2]string{keyID, r.ID}] = s
			list = append(list, s)
		}
		return s
	}
	for _, r := range st.Expired {
		settlement(r, keyID).Key = keyHash
	}
	for _, share := range st.Also {
		for _, r := range share.Expired {
			s := settlement(r, r.KeyID)
			s.Also = append(s.Also, Closing{Subject: share.Subject, Reservation: r})
		}
	}
	return list
}
