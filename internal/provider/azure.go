package provider

import (
	"net/http"
	"slices"
	"strings"

	"tollgate/internal/gateway"
)

// azurePrefix is where Azure's API stands on the proxy.
const azurePrefix = "/api/providers/azure/openai"

// Azure is OpenAI's API on Azure, dated (…/deployments/:deployment_id/…, with
// api-version) and new (…/v1/…).
var Azure Vendor = azure{compatible{name: "azure", rows: azureRows(), dialect: dialect{completionCap: completionDefault, toolCaps: true,
	loose: []string{"data_sources"}, fed: []string{"data_sources"}}}}

// azure differs from OpenAI in its host, in its credential and in that callers
// name deployments, not models.
type azure struct{ compatible }

// BaseURL implements Vendor: the host of the resource, or the setting's url in
// its place, without "/openai".
func (a azure) BaseURL(s *gateway.Setting) string {
	if u := s.Params["url"]; u != "" {
		return strings.TrimRight(u, "/")
	}
	return "https://" + s.Params["resourceName"] + ".openai.azure.com"
}

// Authorize implements Vendor.
func (a azure) Authorize(h http.Header, c Credential) { h.Set("Api-Key", c.APIKey) }

// Parse implements Vendor. What a deployment serves only the answer tells.
func (a azure) Parse(e *Endpoint, contentType string, body []byte) (*Call, error) {
	c, err := a.compatible.Parse(e, contentType, body)
	if err == nil {
		c.Alias = true
	}
	return c, err
}

// ofDeployment are the endpoints that the dated API has below a deployment.
var ofDeployment = []string{
	"/chat/completions", "/completions", "/embeddings", "/images/generations", "/images/edits",
	"/audio/speech", "/audio/transcriptions", "/audio/translations",
}

// notOnAzure are endpoints of OpenAI's that Azure does not have.
var notOnAzure = []string{"/moderations", "/images/variations"}

// azureRows are OpenAI's endpoints in both of Azure's forms.
func azureRows() []Endpoint {
	const deployment = "/openai/deployments/:deployment_id"
	var below, beside, all []Endpoint
	for _, e := range openAIRows() {
		if slices.Contains(notOnAzure, e.Pattern) {
			continue
		}
		all = append(all, e)
		switch {
		case e.Method == http.MethodPost && slices.Contains(ofDeployment, e.Pattern):
			e.Model = ":deployment_id"
			below = append(below, e)
		default:
			beside = append(beside, e)
		}
	}
	return slices.Concat(
		rows(azurePrefix+"/deployments/:deployment_id", deployment, below),
		rows(azurePrefix, "/openai", beside),
		rows(azurePrefix+"/v1", "/openai/v1", all),
	)
}
