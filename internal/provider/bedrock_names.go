package provider

import (
	"regexp"
	"strings"
)

var (
	modelID  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:-]{0,255}$`)
	modelARN = regexp.MustCompile(`^arn:aws[a-z-]{0,20}:(bedrock|sagemaker):[a-z0-9-]{0,30}:[0-9]{0,12}:([a-z-]{1,60})/([A-Za-z0-9][A-Za-z0-9._:-]{0,255}(?:/[a-z0-9]{12})?)$`)
	// geography is what a name begins with whose calls may be served anywhere in
	// it: "us.", "eu.", "apac.", "us-gov.", "global.".
	geography = regexp.MustCompile(`^(global|apac|[a-z]{2}(?:-[a-z]+)?)\.(.+\..+)$`)
)

// isModelID reports whether a text can name a model of Bedrock's in a path.
func isModelID(s string) bool { return modelID.MatchString(s) || isARN(s) }

// isARN reports whether s is the ARN of something that answers like a model. Its
// slashes are between names, and nothing in it means anything to a path.
func isARN(s string) bool { return modelARN.MatchString(s) }

// plainName is a model's name without what an ARN puts around it: "" where the
// ARN has a name of the account's own, such as an application inference profile's.
func plainName(model string) string {
	m := modelARN.FindStringSubmatch(model)
	if m == nil {
		return model
	}
	switch kind, name := m[2], m[3]; kind {
	case "foundation-model", "inference-profile":
		return name
	}
	return ""
}

// isPrompt reports whether a model is a stored prompt, which has a model, a cap and
// a text of its own.
func isPrompt(model string) bool {
	m := modelARN.FindStringSubmatch(model)
	return m != nil && m[2] == "prompt"
}

// isAlias reports whether a name does not tell which model it is.
func isAlias(model string) bool { return plainName(model) == "" }

// family is the name without its geography: what it begins with tells who has made
// the model.
func family(model string) string {
	name := plainName(model)
	if m := geography.FindStringSubmatch(name); m != nil {
		name = m[2]
	}
	return name
}

// regional are geographies whose prices stand for those of one that the table does
// not have, and of a model that it has in none but these.
var regional = []string{"us.", "eu.", "au.", "jp."}

// PriceNames implements PriceNaming. A geography may cost more than "global." does,
// so one that the table does not have is taken for a regional one.
func (v bedrock) PriceNames(model string) []string {
	names := []string{model}
	plain := plainName(model)
	if plain == "" {
		return names
	}
	if plain != model {
		names = append(names, plain)
	}
	bare := family(model)
	if strings.HasPrefix(plain, "global.") {
		names = append(names, bare)
	}
	if strings.Contains(bare, ".") {
		for _, place := range regional {
			names = append(names, place+bare)
		}
	}
	if bare != plain {
		names = append(names, bare)
	}
	return names
}

// escapeID puts a model into a path as the SDKs of AWS do: colons and slashes are
// encoded as well.
func escapeID(model string) string {
	return strings.NewReplacer(":", "%3A", "/", "%2F").Replace(model)
}
