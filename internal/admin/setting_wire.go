package admin

import (
	"slices"

	"tollgate/internal/gateway"
)

// settingBody is a provider setting as a caller sends it. nil members were not
// sent, or were null.
type settingBody struct {
	ID        ignored `json:"id"`
	CreatedAt ignored `json:"createdAt"`
	UpdatedAt ignored `json:"updatedAt"`

	Provider      string            `json:"provider"` // create only
	Name          *string           `json:"name"`
	Setting       map[string]string `json:"setting"`
	AllowedModels []string          `json:"allowedModels"`
	CostMap       *costMapWire      `json:"costMap"`
}

// settingAnswer is a setting as callers see it, in the peer's order.
type settingAnswer struct {
	CreatedAt     int64             `json:"createdAt"` // unix seconds
	UpdatedAt     int64             `json:"updatedAt"`
	Provider      string            `json:"provider"`
	Setting       map[string]string `json:"setting,omitempty"` // gateway.PublicParams only
	ID            string            `json:"id"`
	Name          string            `json:"name"`
	AllowedModels []string          `json:"allowedModels"`
	CostMap       *costMapWire      `json:"costMap"`
}

// costMapWire holds prices in USD per 1000 tokens by model, as the peer does; a part
// that was not sent is shown as null. Models and Deployments are ours, and shown
// where they were sent.
type costMapWire struct {
	Prompt     map[string]price `json:"promptCostPerModel"`
	Completion map[string]price `json:"completionCostPerModel"`
	Embeddings map[string]price `json:"embeddingsCostPerModel"`

	Models      map[string]classPrices `json:"models,omitempty"`
	Deployments map[string]string      `json:"deployments,omitempty"` // models by deployment
}

func showSetting(s *gateway.Setting) settingAnswer {
	answer := settingAnswer{
		CreatedAt: s.CreatedAt.Unix(), UpdatedAt: s.UpdatedAt.Unix(),
		Provider: s.Provider, Setting: s.Params,
		ID: s.ID, Name: s.Name, AllowedModels: orEmpty(s.AllowedModels),
	}
	if m := s.CostMap; m != nil {
		answer.CostMap = &costMapWire{
			Prompt:     prices[price](m.Prompt),
			Completion: prices[price](m.Completion),
			Embeddings: prices[price](m.Embeddings),

			Deployments: m.Deployments,
		}
		if len(m.Models) > 0 {
			answer.CostMap.Models = make(map[string]classPrices, len(m.Models))
		}
		for model, classes := range m.Models {
			answer.CostMap.Models[model] = showClassPrices(classes)
		}
	}
	return answer
}

func showSettings(settings []gateway.Setting) []settingAnswer {
	answers := make([]settingAnswer, len(settings))
	for i := range settings {
		answers[i] = showSetting(&settings[i])
	}
	return answers
}

// apply writes all but the parameters into the setting.
func (b *settingBody) apply(s *gateway.Setting) error {
	if b.Name != nil {
		if tooLong(*b.Name) {
			return invalid("name is longer than %d characters", maxText)
		}
		s.Name = *b.Name
	}
	if b.AllowedModels != nil {
		// An empty name would be a list that allows nothing, or everything.
		if i := slices.Index(b.AllowedModels, ""); i >= 0 {
			return invalid("allowedModels[%d] is empty", i)
		}
		s.AllowedModels = b.AllowedModels
	}
	if b.CostMap != nil {
		if err := b.CostMap.check(); err != nil {
			return err
		}
		models, err := b.CostMap.readModels()
		if err != nil {
			return err
		}
		s.CostMap = &gateway.CostMap{
			Prompt:     prices[int64](b.CostMap.Prompt),
			Completion: prices[int64](b.CostMap.Completion),
			Embeddings: prices[int64](b.CostMap.Embeddings),

			Models: models, Deployments: b.CostMap.Deployments,
		}
	}
	return nil
}

func (m *costMapWire) check() error {
	parts := []struct {
		name   string
		prices map[string]price
	}{
		{"promptCostPerModel", m.Prompt},
		{"completionCostPerModel", m.Completion},
		{"embeddingsCostPerModel", m.Embeddings},
	}
	for _, part := range parts {
		for model, p := range part.prices {
			if model == "" {
				return invalid("costMap.%s has a model without a name", part.name)
			}
			if p < 0 {
				return invalid("costMap.%s: the price of %s is negative", part.name, clip(model))
			}
		}
	}
	return m.checkDeployments()
}

// prices changes the type of the numbers. nil stays nil.
func prices[To, From ~int64](m map[string]From) map[string]To {
	if m == nil {
		return nil
	}
	converted := make(map[string]To, len(m))
	for model, p := range m {
		converted[model] = To(p)
	}
	return converted
}
