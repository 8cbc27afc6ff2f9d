package proxy

import (
	"slices"
	"sync"
)

// mapped is the model that the setting's costMap names for what the call names.
func (x *exchange) mapped() (string, bool) {
	if x.setting.CostMap == nil {
		return "", false
	}
	model, ok := x.setting.CostMap.Deployments[x.call.Model]
	return model, ok
}

// unmapped reports whether the call names a deployment of which only the answer
// tells the model.
func (x *exchange) unmapped() bool {
	_, ok := x.mapped()
	return x.call.Alias && !ok
}

// deployment is what the call names, of the setting.
func (x *exchange) deployment() deploymentID {
	return deploymentID{x.setting.ID, x.call.Model}
}

// fearDearer makes the quote of a deployment that nobody has mapped the dearest one
// among the models that have answered for it so far: its name may be that of a
// cheaper one.
func (x *exchange) fearDearer(q *quote) {
	if q.model == nil || !x.unmapped() {
		return
	}
	for _, served := range x.server.served.models(x.deployment()) {
		model, _ := x.pricesOf(q.table, served)
		if model == nil {
			continue
		}
		other := *q
		other.read, other.cap = x.call.Bound, 0
		other.dearest = model.At(x.percent())
		other.unit()
		other.tokens()
		if other.cost() > q.cost() {
			*q = other
		}
	}
}

// deploymentID names a deployment of a setting.
type deploymentID struct{ setting, name string }

// servedModels remembers which models have answered for deployments. The zero value
// remembers none.
type servedModels struct {
	mu  sync.Mutex
	all map[deploymentID][]string
}

const (
	// maxDeployments and maxServed bound the memory that the names take.
	maxDeployments = 10_000
	maxServed      = 16
)

func (s *servedModels) add(d deploymentID, model string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	have := s.all[d]
	if slices.Contains(have, model) || len(have) >= maxServed || len(model) > 255 {
		return
	}
	if s.all == nil || len(s.all) >= maxDeployments && have == nil {
		s.all = make(map[deploymentID][]string)
	}
	s.all[d] = append(slices.Clone(have), model)
}

// models is not changed by what add does later.
func (s *servedModels) models(d deploymentID) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all[d]
}
