package proxy

import (
	"net/url"
	"slices"
	"strings"

	"tollgate/internal/gateway"
)

// openAIRegions are the regions that OpenAI has hosts of their own for.
var openAIRegions = []string{"us", "eu", "ae", "au", "in", "jp"}

// openAIRegional is what tokens cost there, in percent of the list price.
const openAIRegional = 110

// hostPercent is what tokens cost at the host that a setting names, in percent of the
// list price; 0 for the list price.
func hostPercent(s *gateway.Setting) int64 {
	if s.Provider != "openai" || s.Params["url"] == "" {
		return 0
	}
	u, err := url.Parse(s.Params["url"])
	if err != nil {
		return 0
	}
	region, ok := strings.CutSuffix(strings.ToLower(u.Hostname()), ".api.openai.com")
	if !ok || !slices.Contains(openAIRegions, region) {
		return 0
	}
	return openAIRegional
}

// percent is the most that the call's tokens may cost, in percent of the list price.
func (x *exchange) percent() int64 {
	return max(x.call.Bound.Percent, hostPercent(&x.setting.Setting))
}
