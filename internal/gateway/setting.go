package gateway

import "time"

// Setting is a provider credential with what belongs to it: where to send calls,
// which models it may be used for and at what prices.
type Setting struct {
	ID        string    `json:"id"`
	Version   int64     `json:"version"`
	Provider  string    `json:"provider"` // "openai", …
	Name      string    `json:"name,omitempty"`
	CreatedAt time.Time `json:"createdAt"`
	UpdatedAt time.Time `json:"updatedAt"`

	// Params holds the parameters that are no secret (PublicParams). All others
	// are in Sealed: one JSON object of strings, sealed by secret.Box for the
	// context SealContext.
	Params map[string]string `json:"params,omitempty"`
	Sealed []byte            `json:"sealed,omitempty"`

	AllowedModels []string `json:"allowedModels,omitempty"` // exact names; empty means all
	CostMap       *CostMap `json:"costMap,omitempty"`
}

// PublicParams are the setting parameters that may be stored and shown in clear.
// Every other parameter is treated as a secret, whatever its name.
var PublicParams = map[string]bool{
	"url":          true, // base URL that replaces the vendor's own
	"resourceName": true, // Azure
	"awsRegion":    true, // Bedrock
	"awsRoleArn":   true, // Bedrock
	"apiVersion":   true,
}

// SealContext binds a sealed secret to its setting: a ciphertext copied to
// another setting does not open.
func (s *Setting) SealContext() map[string]string {
	return map[string]string{"setting": s.ID, "provider": s.Provider}
}

// AllowsModel reports whether the setting may be used for the model. A call
// without a model passes only where every model does.
func (s *Setting) AllowsModel(model string) bool {
	if len(s.AllowedModels) == 0 {
		return true
	}
	for _, m := range s.AllowedModels {
		if m == model {
			return true
		}
	}
	return false
}

// CostMap holds an operator's own prices, in nano-dollars per million units, by
// exact model name. A nil map was never given; the API shows that as null.
type CostMap struct {
	Prompt     map[string]int64 `json:"prompt,omitzero"`
	Completion map[string]int64 `json:"completion,omitzero"`
	Embeddings map[string]int64 `json:"embeddings,omitzero"`

	// Models holds prices by the name of what is billed: one of ClassNames, or
	// PerRequest. They win over the three maps and over the price table, each for
	// itself.
	Models map[string]map[string]int64 `json:"models,omitzero"`
	// Deployments names the model that is behind a name of the caller's own.
	Deployments map[string]string `json:"deployments,omitzero"`
}

// PerRequest is the name, beside those of the classes, of a fee for each call.
const PerRequest = "requests"
