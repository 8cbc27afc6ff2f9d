package provider

import (
	"strings"

	"github.com/tidwall/gjson"

	"tollgate/internal/gateway"
)

// tokensPerGeminiImage is what a picture counts as at most: 258 tokens for each
// tile of 768 × 768, or up to 2,240 where a resolution is asked for. It leaves room
// for 38 tiles, 3,072 pixels square and more.
const tokensPerGeminiImage = 10_000

// perGeminiAudioToken is how many base64 characters of input audio make at least
// one token: 32 tokens a second, at no less than 4 kbit/s.
const perGeminiAudioToken = 20

// boundGenerate fills c.Bound for generateContent. The cap on the output holds for
// thinking too, whatever thinkingBudget says.
func boundGenerate(c *Call) error {
	root := gjson.ParseBytes(c.Body)
	m, ok := fold(root, "contents", "systemInstruction", "tools", "cachedContent", "generationConfig", "serviceTier")
	config := m["generationConfig"]
	set, once := fold(config, "maxOutputTokens", "candidateCount", "responseModalities", "speechConfig", "imageConfig")
	switch {
	case !ok:
		return invalid("invalid_json", "", "The body has a member more than once, or in two spellings.")
	case !once:
		return invalid("invalid_json", "generationConfig", "The member \"generationConfig\" has a member more than once, or in two spellings.")
	case given(config) && !config.IsObject():
		return invalid("invalid_type", "generationConfig", "The member \"generationConfig\" must be an object.")
	}
	for _, name := range []string{"maxOutputTokens", "candidateCount"} {
		if v := set[name]; given(v) && v.Type != gjson.Number {
			return invalid("invalid_type", "generationConfig."+name, "The member %q must be a number.", name)
		}
	}
	b := &c.Bound
	b.geminiInput(c.Body, m["contents"], m["systemInstruction"])
	b.Opaque = b.Opaque || given(m["cachedContent"])
	m["tools"].ForEach(func(_, t gjson.Result) bool { b.geminiTool(t); return true })
	b.Output, b.Copies = amount(set["maxOutputTokens"]), max(amount(set["candidateCount"]), 1)
	b.CapMember = spelling(root, "generationConfig") + "." + spelling(config, "maxOutputTokens")
	b.MediaOut = given(set["speechConfig"]) || given(set["imageConfig"])
	for _, mode := range set["responseModalities"].Array() {
		b.MediaOut = b.MediaOut || !strings.EqualFold(mode.String(), "text")
	}
	switch tier := m["serviceTier"]; {
	case !given(tier):
		b.Tier = "standard"
	case tier.Type == gjson.String: // any other may be each of them
		b.Tier = googleTier(tier.String())
	}
	return nil
}

// boundEmbed fills c.Bound for embeddings. Each part of a batch names its model
// again; the settings' lists hold for all of them.
func boundEmbed(c *Call) error {
	m, ok := fold(gjson.ParseBytes(c.Body), "content", "requests", "model")
	if !ok {
		return invalid("invalid_json", "", "The body has a member more than once, or in two spellings.")
	}
	contents := []gjson.Result{m["content"]}
	models := []gjson.Result{m["model"]}
	m["requests"].ForEach(func(_, r gjson.Result) bool {
		part, once := fold(r, "content", "model")
		ok = ok && once
		contents, models = append(contents, part["content"]), append(models, part["model"])
		return true
	})
	if !ok {
		return invalid("invalid_json", "requests", "The member \"requests\" has a member more than once, or in two spellings.")
	}
	for _, v := range models {
		if name := strings.TrimPrefix(v.String(), "models/"); name != "" {
			c.Fallbacks = append(c.Fallbacks, name)
		}
	}
	c.Bound.Tier = "standard"
	c.Bound.geminiInput(c.Body, contents...)
	return nil
}

// geminiInput bounds the input by the body and by what is in it beside text.
func (b *Bound) geminiInput(body []byte, contents ...gjson.Result) {
	var in geminiInput
	for _, v := range contents {
		in.content(v, 0)
	}
	b.Input = int64(len(body)) - in.data + in.images*tokensPerGeminiImage + in.audio/perGeminiAudioToken
	b.Images, b.Media, b.Opaque = in.images, in.images > 0 || in.audio > 0 || in.opaque, in.opaque
}

// geminiInput looks through contents for what is not plain text.
type geminiInput struct {
	images int64
	audio  int64 // base64 characters of audio
	data   int64 // base64 characters of pictures and audio, which are no text
	opaque bool  // has what the body does not show: files, films, documents
}

// content looks at a content, a list of them, or their parts.
func (in *geminiInput) content(v gjson.Result, depth int) {
	switch {
	case depth > surveyDepth:
		in.opaque = true
	case v.IsArray():
		v.ForEach(func(_, e gjson.Result) bool { in.content(e, depth+1); return true })
	case v.IsObject():
		in.part(v, depth)
	}
}

// part looks at a content or a part. Below the arguments of a function and what it
// answered anything may stand; there only the bytes count, but for media.
func (in *geminiInput) part(v gjson.Result, depth int) {
	m, ok := fold(v, "parts", "inlineData", "fileData", "functionResponse", "toolResponse")
	in.opaque = in.opaque || !ok || given(m["fileData"])
	in.inline(m["inlineData"])
	in.content(m["parts"], depth+1)
	for _, name := range []string{"functionResponse", "toolResponse"} {
		in.content(m[name], depth+1)
	}
}

// inline takes media in by their kind. How long a film or a document is, its bytes
// do not say.
func (in *geminiInput) inline(v gjson.Result) {
	if !given(v) {
		return
	}
	m, ok := fold(v, "mimeType", "data")
	kind, _, _ := strings.Cut(strings.ToLower(m["mimeType"].String()), "/")
	n := int64(len(m["data"].String()))
	switch {
	case ok && kind == "image":
		in.images++
		in.data += n
	case ok && kind == "audio":
		in.audio += n
		in.data += n
	case ok && kind == "text":
	default:
		in.opaque = true
		in.data += n
	}
}

// geminiTool takes in what a tool may cost beside the tokens of one turn. What the
// provider runs itself it feeds back to the model.
func (b *Bound) geminiTool(t gjson.Result) {
	t.ForEach(func(k, v gjson.Result) bool {
		switch name := camel(k.String()); {
		case name == "functionDeclarations" || !given(v):
		case name == "googleSearch" || name == "googleSearchRetrieval":
			b.Opaque, b.Unbounded, b.Extra.Counts[gateway.WebSearches] = true, true, looseToolCalls
		case name == "computerUse": // run by the caller
			b.Opaque = true
		default: // what has no cap: addresses, code, maps, stored files, other servers, what is yet to come
			b.Opaque, b.Unbounded = true, true
		}
		return true
	})
}
