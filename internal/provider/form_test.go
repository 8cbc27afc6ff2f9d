package provider_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/internal/gateway"
	"tollgate/internal/provider"
)

func parseForm(t testing.TB, row, contentType string, body []byte) (*provider.Call, error) {
	t.Helper()
	e := endpoint(t, row)
	return e.Vendor.Parse(e, contentType, body)
}

func TestFormBound(t *testing.T) {
	for _, tt := range []struct {
		name, row string
		fields    []string
		model     string
		stream    bool
		want      provider.Bound
	}{
		{"transcription", "POST /audio/transcriptions", []string{"model=whisper-1", "language=de", "file@50000"}, "whisper-1", false,
			provider.Bound{Input: 101*20 + 11, Output: 101 * 20, Media: true, MinOutput: 1, Copies: 1, Extra: extra(int64(gateway.AudioMillis), 101_000)}},
		{"as a stream", "POST /audio/transcriptions", []string{"file@0", "model=m", "stream=True"}, "m", true,
			provider.Bound{Input: 20 + 1 + 4, Output: 20, Media: true, MinOutput: 1, Copies: 1, Extra: extra(int64(gateway.AudioMillis), 1000)}},
		{"edit", "POST /images/edits", []string{"model=gpt-image-2", "prompt=a hat", "n=2", "size=auto", "quality=high", "partial_images=1", "image[]@10", "image[]@10", "mask@10"}, "gpt-image-2", false,
			provider.Bound{Input: 11 + 5 + 1 + 4 + 4 + 1 + 3*50_000, Images: 3, Output: 25_100, Media: true, MediaOut: true, MinOutput: 1, Copies: 2, Size: "auto", Grade: "high", Extra: extra(int64(gateway.Images), 2)}},
		{"variation", "POST /images/variations", []string{"image@10", "n=1.5"}, "", false,
			provider.Bound{Input: 3 + 50_000, Images: 1, Output: 25_000, Media: true, MediaOut: true, MinOutput: 1, Copies: 2, Extra: extra(int64(gateway.Images), 2)}},
		{"upload", "POST /files", []string{"purpose=batch", "file@100"}, "", false, provider.Bound{MinOutput: 1, Copies: 1}},
		{"part of an upload", "POST /uploads/:upload_id/parts", []string{"data@100"}, "", false, provider.Bound{MinOutput: 1, Copies: 1}},
	} {
		contentType, body := form(t, tt.fields...)
		c, err := parseForm(t, tt.row, contentType, body)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if c.Model != tt.model || c.Stream != tt.stream || &c.Body[0] != &body[0] {
			t.Errorf("%s: model %q, stream %v", tt.name, c.Model, c.Stream)
		}
		if diff := cmp.Diff(tt.want, c.Bound); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", tt.name, diff)
		}
	}
}

const contentTypeB = "multipart/form-data; boundary=b"

// part is one part of a form, with the parameters of its disposition as given.
func part(parameters, value string, headers ...string) string {
	return "--b\r\nContent-Disposition: form-data; " + parameters + "\r\n" + strings.Join(append(headers, "", value), "\r\n") + "\r\n"
}

const aFile = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.mp3\"\r\nContent-Type: audio/mpeg\r\n\r\nxxxx\r\n"

// Whatever two parsers may read in two ways is refused: the gateway must check
// the form that the provider acts on.
func TestFormRefuses(t *testing.T) {
	model := part(`name="model"`, "m")
	for _, tt := range []struct{ name, contentType, body, code string }{
		{"no type", "", model + aFile + "--b--", "invalid_content_type"},
		{"JSON", "application/json", `{"model":"m"}`, "invalid_content_type"},
		{"no boundary", "multipart/form-data", model + aFile + "--b--", "invalid_content_type"},
		{"empty boundary", `multipart/form-data; boundary=""`, model + aFile + "--b--", "invalid_content_type"},
		{"two boundaries", contentTypeB + "; boundary=c", model + aFile + "--b--", "invalid_content_type"},
		{"another way to give it", "multipart/form-data; boundary*=utf-8''b", model + aFile + "--b--", "invalid_content_type"},
		{"hidden in a parameter", `multipart/form-data; x="; boundary=c"; boundary=b`, model + aFile + "--b--", "invalid_content_type"},
		{"other multipart", "multipart/mixed; boundary=b", model + aFile + "--b--", "invalid_content_type"},

		{"nothing", contentTypeB, "", "invalid_form"},
		{"no parts", contentTypeB, "--b--\r\n", "invalid_form"},
		{"other boundary", contentTypeB, "--c\r\n\r\n--c--", "invalid_form"},
		{"text before", contentTypeB, "x\r\n" + model + aFile + "--b--", "invalid_form"},
		{"text behind", contentTypeB, model + aFile + "--b--\r\nx", "invalid_form"},
		{"two ends", contentTypeB, model + aFile + "--b--\r\n" + model + "--b--", "invalid_form"},
		{"LF only", contentTypeB, strings.ReplaceAll(model+aFile+"--b--", "\r\n", "\n"), "invalid_form"},
		{"first line end LF", contentTypeB, strings.Replace(model+aFile+"--b--", "\r\n", "\n", 1), "invalid_form"},
		{"cut in a file", contentTypeB, model + aFile[:len(aFile)-3], "invalid_form"},
		{"cut in a header", contentTypeB, model + "--b\r\nContent-Dis", "invalid_form"},

		{"no file", contentTypeB, model + "--b--", "missing_file"},
		{"file under another name", contentTypeB, model + strings.Replace(aFile, `"file"`, `"files"`, 1) + "--b--", "missing_file"},
		{"model twice", contentTypeB, model + part(`name="model"`, "dear") + aFile + "--b--", "invalid_form"},
		{"model again as a file", contentTypeB, model + part(`name="model"; filename="m"`, "dear") + aFile + "--b--", "invalid_form"},
		{"model as a file", contentTypeB, part(`name="model"; filename=""`, "dear") + aFile + "--b--", "invalid_form"},
		{"two names", contentTypeB, model + part(`name="x"; name="model"`, "dear") + aFile + "--b--", "invalid_form"},
		{"name in the other way", contentTypeB, part(`name="model"; name*=utf-8''x`, "dear") + aFile + "--b--", "invalid_form"},
		{"name in pieces", contentTypeB, part(`name*0="mo"; name*1="del"`, "dear") + aFile + "--b--", "invalid_form"},
		{"no name", contentTypeB, part(`x="model"`, "dear") + aFile + "--b--", "invalid_form"},
		{"blank in the name", contentTypeB, part(`name="model "`, "dear") + aFile + "--b--", "invalid_form"},
		{"quote in the name", contentTypeB, part(`name="mod\"el"`, "dear") + aFile + "--b--", "invalid_form"},
		{"percent in the name", contentTypeB, part(`name="mod%65l"`, "dear") + aFile + "--b--", "invalid_form"},
		{"two dispositions", contentTypeB, part(`name="x"`, "dear", `Content-Disposition: form-data; name="model"`) + aFile + "--b--", "invalid_form"},
		{"encoded", contentTypeB, part(`name="model"`, "ZGVhcg==", "Content-Transfer-Encoding: base64") + aFile + "--b--", "invalid_form"},
		{"long model", contentTypeB, part(`name="model"`, strings.Repeat("m", 64<<10+1)) + aFile + "--b--", "invalid_form"},
		{"copies no number", contentTypeB, part(`name="n"`, "1_000") + aFile + "--b--", "invalid_type"},
		{"copies beyond numbers", contentTypeB, part(`name="n"`, "1e400") + aFile + "--b--", "invalid_type"},
		{"copies NaN", contentTypeB, part(`name="n"`, "nan") + aFile + "--b--", "invalid_type"},
		{"partial pictures no number", contentTypeB, part(`name="partial_images"`, "three") + aFile + "--b--", "invalid_type"},
		{"too many parts", contentTypeB, strings.Repeat(part(`name="x"`, ""), 1002) + "--b--", "invalid_form"},
	} {
		e := *endpoint(t, "POST /audio/transcriptions")
		e.File = true
		c, err := e.Vendor.Parse(&e, tt.contentType, []byte(tt.body))
		got, ok := err.(*gateway.Error)
		if !ok || got.Kind != gateway.Invalid || got.Code != tt.code {
			t.Errorf("%s: %+v, %v; want %s", tt.name, c, err, tt.code)
		}
	}
}

// What clients do send passes.
func TestFormAccepts(t *testing.T) {
	end := "--b--\r\n"
	for _, tt := range []struct{ name, contentType, body string }{
		{"quoted boundary", `multipart/form-data; boundary="b"`, part(`name="model"`, "m") + aFile + end},
		{"upper case and charset", `Multipart/Form-Data; Charset=utf-8; Boundary=b`, part(`name="model"`, "m") + aFile + end},
		{"no last line end", contentTypeB, part(`name="model"`, "m") + aFile + "--b--"},
		{"name without quotes", contentTypeB, part(`name=model`, "m") + aFile + end},
		{"type on a field", contentTypeB, part(`name="model"`, "m", "Content-Type: text/plain; charset=utf-8") + aFile + end},
		{"list", contentTypeB, part(`name="model"`, "m") + part(`name="timestamp_granularities[]"`, "word") + part(`name="timestamp_granularities[]"`, "segment") + aFile + end},
		{"file name in UTF-8", contentTypeB, part(`name="model"`, "m") + part(`name="file"; filename="größe.mp3"`, "x") + end},
		{"file name in both ways", contentTypeB, part(`name="model"`, "m") + part(`name="file"; filename="a.mp3"; filename*=UTF-8''gr%C3%B6%C3%9Fe.mp3`, "x") + end},
		{"star in a file name", contentTypeB, part(`name="model"`, "m") + part(`name="file"; filename="my name*.mp3"`, "x") + end},
		{"boundary in a file", contentTypeB, part(`name="model"`, "m") + part(`name="file"; filename="a"`, "x--b-- --b\r\n-b") + end},
	} {
		c, err := parseForm(t, "POST /audio/transcriptions", tt.contentType, []byte(tt.body))
		if err != nil || c.Model != "m" {
			t.Errorf("%s: %+v, %v", tt.name, c, err)
		}
	}
}
