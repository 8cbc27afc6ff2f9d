package secret_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"tollgate/internal/secret"
)

const hidden = "sk-live-0123456789abcdef"

// holder has a secret wherever a struct can have one, in reach of package fmt's
// method calls and out of it.
type holder struct {
	Public  secret.Text
	private secret.Text
	Pointer *secret.Text
	list    []secret.Text
	Map     map[string]secret.Text
	any     any
}

func TestTextIsNeverShown(t *testing.T) {
	text := secret.NewText(hidden)
	h := holder{text, text, &text, []secret.Text{text}, map[string]secret.Text{"k": text}, text}
	var shown bytes.Buffer
	for _, v := range []any{text, &text, h, &h, []any{h}, map[string]any{"k": h}, fmt.Errorf("failed with %v", h)} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%c", "%U", "%t", "%10.3s", "%p", "%T"} {
			fmt.Fprintf(&shown, verb+"\n", v)
		}
		fmt.Fprintln(&shown, v)
		b, err := json.Marshal(v)
		fmt.Fprintf(&shown, "%s %v\n", b, err)
		for _, handler := range []slog.Handler{
			slog.NewTextHandler(&shown, nil), slog.NewJSONHandler(&shown, nil),
		} {
			slog.New(handler).With("with", v).WithGroup("g").Info("call", "arg", v, slog.Any("any", v))
		}
	}
	x, err := xml.Marshal(struct{ T secret.Text }{text})
	fmt.Fprintf(&shown, "%s %v\n", x, err)
	fmt.Fprintln(&shown, gob.NewEncoder(&shown).Encode(struct{ T secret.Text }{text}))
	panicked(&shown, text)

	out := shown.String()
	for _, part := range []string{hidden, hidden[3:11], fmt.Sprintf("%x", hidden[:6]), fmt.Sprintf("%X", hidden[:6]), fmt.Sprintf("% x", hidden[:6]), fmt.Sprint([]byte(hidden[:3]))} {
		if i := strings.Index(out, part); i >= 0 {
			t.Errorf("%q is shown: …%s…", part, out[max(i-80, 0):min(i+40, len(out))])
		}
	}
	if strings.Count(out, "REDACTED") < 100 {
		t.Errorf("only %d times REDACTED", strings.Count(out, "REDACTED"))
	}
}

// panicked writes what a recovered panic with a secret as its value prints.
func panicked(w *bytes.Buffer, v any) {
	defer func() { fmt.Fprintln(w, recover()) }()
	panic(v)
}

func TestText(t *testing.T) {
	var none secret.Text
	if !none.Empty() || none.Reveal() != "" || none.String() != "REDACTED" {
		t.Errorf("nothing is %q", none.Reveal())
	}
	if text := secret.NewText(hidden); text.Empty() || text.Reveal() != hidden || !secret.NewText("").Empty() {
		t.Errorf("text is %q", text.Reveal())
	}
}

func TestHashKey(t *testing.T) {
	for key, want := range map[string]string{
		"":    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"abc": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
	} {
		if got := secret.HashKey(key); got != want {
			t.Errorf("HashKey(%q) = %s, want %s", key, got, want)
		}
	}
}
