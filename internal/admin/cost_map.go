package admin

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"tollgate/internal/gateway"
	pricelist "tollgate/internal/price"
)

// classPrices are a model's prices by member of priceMembers: decimal texts of US
// dollars. A caller may send numbers; they are read digit by digit.
type classPrices map[string]string

// priceMembers are the prices that a costMap may give a model, in the order in
// which they are shown.
var priceMembers = []struct {
	name, class string
	million     int64 // the price is of so many of the class's units per million: 1 is a price per million
}{
	{"input", gateway.Input.String(), 1},
	{"output", gateway.Output.String(), 1},
	{"cacheRead", gateway.CacheRead.String(), 1},
	{"cacheWrite", gateway.CacheWrite.String(), 1},
	{"cacheWriteLong", gateway.CacheWriteLong.String(), 1},
	{"inputAudio", gateway.InputAudio.String(), 1},
	{"cachedAudio", gateway.CachedAudio.String(), 1},
	{"outputAudio", gateway.OutputAudio.String(), 1},
	{"inputImage", gateway.InputImage.String(), 1},
	{"cachedImage", gateway.CachedImage.String(), 1},
	{"inputVideo", gateway.InputVideo.String(), 1},
	{"outputImage", gateway.OutputImage.String(), 1},
	{"characters", gateway.Characters.String(), 1},
	{"audioSecond", gateway.AudioMillis.String(), 1000},
	{"image", gateway.Images.String(), 1_000_000},
	{"webSearch", gateway.WebSearches.String(), 1000},
	{"fileSearch", gateway.FileSearches.String(), 1000},
	{"request", gateway.PerRequest, 1_000_000},
}

// UnmarshalJSON keeps the texts of the prices. What they say is checked where the
// model's name is known.
func (p *classPrices) UnmarshalJSON(text []byte) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		return wrongType[classPrices](text)
	}
	*p = make(classPrices, len(members))
	for name, value := range members {
		s := string(value)
		if bytes.HasPrefix(value, []byte(`"`)) {
			if err := json.Unmarshal(value, &s); err != nil {
				return err
			}
		}
		(*p)[name] = s
	}
	return nil
}

// MarshalJSON writes the prices in the order of priceMembers.
func (p classPrices) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for _, m := range priceMembers {
		if usd, ok := p[m.name]; ok {
			if b.Len() > 1 {
				b.WriteByte(',')
			}
			b.WriteString(`"` + m.name + `":"` + usd + `"`) // digits and a point
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// read turns what was sent for a model into prices per million units by class.
func (p classPrices) read(model string) (map[string]int64, error) {
	classes := make(map[string]int64, len(p))
	left := maps.Clone(p)
	for _, m := range priceMembers {
		text, ok := left[m.name]
		if !ok {
			continue
		}
		delete(left, m.name)
		nano, err := pricelist.ParseUSD(text)
		if err == nil && nano > maxPrice/m.million {
			err = errTooDear
		}
		if err != nil {
			return nil, invalid("costMap.models: %s: %s: %q %v", clip(model), m.name, clip(text), err)
		}
		classes[m.class] = nano * m.million
	}
	for _, name := range slices.Sorted(maps.Keys(left)) {
		return nil, invalid("costMap.models: %s: there is no price %s; there are %s", clip(model), clip(name), priceNames())
	}
	return classes, nil
}

// maxPrice is the most that a price per million units may be, as in the table.
const maxPrice = 1_000_000_000_000_000_000

var errTooDear = invalid("is too large for a price")

func priceNames() string {
	names := make([]string, len(priceMembers))
	for i := range priceMembers {
		names[i] = priceMembers[i].name
	}
	return strings.Join(names, ", ")
}

// showClassPrices is the inverse of read.
func showClassPrices(classes map[string]int64) classPrices {
	shown := make(classPrices, len(classes))
	for _, m := range priceMembers {
		if nano, ok := classes[m.class]; ok {
			shown[m.name] = pricelist.FormatUSD(nano / m.million)
		}
	}
	return shown
}

// readModels reads costMap.models; nil if it was not sent.
func (m *costMapWire) readModels() (map[string]map[string]int64, error) {
	if m.Models == nil {
		return nil, nil
	}
	models := make(map[string]map[string]int64, len(m.Models))
	for _, model := range slices.Sorted(maps.Keys(m.Models)) {
		if model == "" {
			return nil, invalid("costMap.models has a model without a name")
		}
		classes, err := m.Models[model].read(model)
		if err != nil {
			return nil, err
		}
		models[model] = classes
	}
	return models, nil
}

// checkDeployments refuses names that mean nothing, and models that are only
// another deployment's name.
func (m *costMapWire) checkDeployments() error {
	for _, name := range slices.Sorted(maps.Keys(m.Deployments)) {
		model := m.Deployments[name]
		_, chained := m.Deployments[model]
		switch {
		case name == "" || tooLong(name):
			return invalid("costMap.deployments has a name that is empty or longer than %d characters", maxText)
		case model == "" || tooLong(model):
			return invalid("costMap.deployments: the model of %s is empty or longer than %d characters", clip(name), maxText)
		case chained && model != name:
			return invalid("costMap.deployments: %s is a deployment itself; name the model of %s", clip(model), clip(name))
		}
	}
	return nil
}
