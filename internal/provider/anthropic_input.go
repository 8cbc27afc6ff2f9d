package provider

import "github.com/tidwall/gjson"

// claudeInput looks through the input of a call for what is not plain text.
//
// It follows the blocks of the API and nothing else. Below a tool's input or
// schema anything may stand, such as what looks like a picture and is read as
// text; there only the bytes count.
type claudeInput struct {
	images int64
	data   int64 // base64 characters of the pictures, which are no text
	opaque bool  // has what the body does not show: files, addresses, unknown blocks
}

func (in *claudeInput) messages(v gjson.Result) {
	v.ForEach(func(_, e gjson.Result) bool {
		m, ok := only(e, "content")
		in.opaque = in.opaque || !ok
		in.content(m["content"], 0)
		return true
	})
}

// content looks at what may be a string or blocks.
func (in *claudeInput) content(v gjson.Result, depth int) {
	switch {
	case depth > surveyDepth:
		in.opaque = true
	case v.IsObject():
		in.block(v, depth)
	case v.IsArray():
		v.ForEach(func(_, e gjson.Result) bool {
			in.content(e, depth+1)
			return true
		})
	}
}

// plainBlocks are what they say in so many bytes. Some hold encrypted text, which
// is no shorter than what it stands for has tokens.
var plainBlocks = set("text", "thinking", "redacted_thinking", "tool_use", "server_tool_use", "mcp_tool_use",
	"search_result", "tool_reference", "web_search_tool_result", "code_execution_tool_result",
	"bash_code_execution_tool_result", "text_editor_code_execution_tool_result", "tool_search_tool_result")

func (in *claudeInput) block(v gjson.Result, depth int) {
	m, ok := only(v, "type", "source", "content")
	kind := m["type"].String()
	switch {
	case !ok:
		in.opaque = true
	case plainBlocks[kind]:
	case kind == "tool_result", kind == "mcp_tool_result":
		in.content(m["content"], depth+1)
	case kind == "image":
		in.image(m["source"])
	case kind == "document":
		in.document(m["source"], depth)
	default:
		in.opaque = true
	}
}

// image counts a picture, wherever it comes from: its size is limited.
func (in *claudeInput) image(source gjson.Result) {
	in.images++
	m, ok := only(source, "type", "data")
	in.opaque = in.opaque || !ok
	if ok && m["type"].String() == "base64" {
		in.data += int64(len(m["data"].String()))
	}
}

// document is text, blocks, or a file that only the provider can open.
func (in *claudeInput) document(source gjson.Result, depth int) {
	m, ok := only(source, "type", "content")
	switch kind := m["type"].String(); {
	case ok && kind == "text":
	case ok && kind == "content":
		in.content(m["content"], depth+1)
	default:
		in.opaque = true
	}
}
