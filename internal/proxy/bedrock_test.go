package proxy_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"tollgate/internal/awsauth"
	"tollgate/internal/eventstream"
	"tollgate/internal/fakeai"
	"tollgate/internal/gateway"
)

const (
	onBedrock       = "/api/providers/bedrock"
	bedrockMessages = onBedrock + "/anthropic/v1/messages"
	bedrockComplete = onBedrock + "/anthropic/v1/complete"

	opus  = "us.anthropic.claude-opus-5-5" // $4.40 in, $0.22 read, $5.50 and $8.80 written, $22 out
	awsID = "AKIASETTING"
	// awsSecret and awsToken must be seen by nobody.
	awsSecret = "aws-secret-of-the-setting"
	awsToken  = "aws-token-of-the-setting"
)

// bedrockRig is a rig with a stand-in for Bedrock.
type bedrockRig struct {
	*rig
	aws *fakeai.Bedrock
	url string
}

func newBedrockRig(t testing.TB) *bedrockRig {
	t.Helper()
	b := &bedrockRig{aws: &fakeai.Bedrock{Secrets: map[string]string{awsID: awsSecret}, APIKey: "bedrock-key"}}
	server := httptest.NewServer(b.aws)
	t.Cleanup(server.Close)
	b.url = server.URL
	b.rig = newRig(t, func(r *rig) { r.config.Signer = awsauth.New(awsauth.Options{}) })
	return b
}

// keyWith stores a setting with these secret parameters, and a key for it.
func (b *bedrockRig) keyWith(secrets map[string]string, change ...func(*gateway.Key)) apiKey {
	b.Helper()
	s := gateway.Setting{ID: uuid.NewString(), Provider: "bedrock", CreatedAt: b.now(), Params: map[string]string{"url": b.url, "awsRegion": "eu-central-1"}}
	plain, _ := json.Marshal(secrets)
	var err error
	s.Sealed, err = b.box.Seal(b.Context(), plain, s.SealContext())
	b.must(err)
	b.must(b.db.CreateSetting(b.Context(), s))
	return b.newKey(append([]func(*gateway.Key){func(k *gateway.Key) { k.SettingIDs = []string{s.ID} }}, change...)...)
}

func (b *bedrockRig) key(change ...func(*gateway.Key)) apiKey {
	b.Helper()
	return b.keyWith(map[string]string{"awsAccessKeyId": awsID, "awsSecretAccessKey": awsSecret}, change...)
}

// kept checks that neither answer nor log tell a credential.
func (b *bedrockRig) kept(a answer) {
	b.Helper()
	b.settled()
	for _, secret := range []string{awsSecret, awsToken, awsID, "AWS4-HMAC"} {
		if strings.Contains(fmt.Sprint(a.header, a.body), secret) || strings.Contains(b.log.String(), secret) {
			b.Errorf("%s was told", secret)
		}
	}
}

func claudeOn(model string, stream bool) string {
	return fmt.Sprintf(`{"model":%q,"stream":%v,"max_tokens":20,"top_p":0.9,"system":"s","tools":[{"name":"t","input_schema":{"type":"object"}}],`+
		`"metadata":{"user_id":"u-1"},"messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}]}`, model, stream)
}

// whole is what a call costs that reports the stand-in's tokens at opus's prices: 10
// in, 4 read, 1 and 2 written for the shorter and the longer time, 20 out.
const whole = 10*4400 + 4*220 + 1*5500 + 2*8800 + 20*22_000

// AU-20, AU-21, CK-08, HD-07, AP-12, ST-08, ST-10, CO-06: the calls of the
// peer's paths as Bedrock sees them, their answers, and what they cost.
func TestBedrockCompatible(t *testing.T) {
	older := fmt.Sprintf(`{"model":%q,"prompt":"\n\nHuman: hi\n\nAssistant:","max_tokens_to_sample":20,"stream":true,"metadata":{"user_id":"u-1"}}`, opus)
	for _, test := range []struct {
		name, path, body, upstream, contains string
		cost                                 gateway.NanoUSD
	}{
		{"R-58 AU-21 CK-08 HD-07 AP-12 CO-06 plain", bedrockMessages, claudeOn(opus, false), "invoke", `"content":[{"type":"text","text":"Hello from Bedrock."}]`, whole},
		{"R-58 ST-08 stream", bedrockMessages, claudeOn(opus, true), "invoke-with-response-stream", sseOf(fakeai.ClaudeEvents), whole},
		{"R-57 ST-10 stream", bedrockComplete, older, "invoke-with-response-stream", sseOf(fakeai.CompleteEvents), whole},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBedrockRig(t)
			k := b.key(budget(gateway.OneUSD))
			a := b.passed(b.call("", "POST", test.path+"?beta=true", test.body, "x-api-key: "+k.secret, "anthropic-version: bedrock-2030-01-01", "anthropic-beta: b-1", "Accept: text/event-stream"))
			if !strings.Contains(a.body, test.contains) || a.header.Get("X-Amzn-Requestid") != "req-bedrock" {
				t.Errorf("got %v %s", a.header, a.body)
			}
			got := b.aws.Last()
			if want := "/model/" + opus + "/" + test.upstream; got.Path != want || got.Query != "" || got.Err != nil {
				t.Errorf("upstream %s?%s, %v", got.Path, got.Query, got.Err)
			}
			if s := got.Signed; s.AccessKeyID != awsID || s.Region != "eu-central-1" || s.Service != "bedrock" {
				t.Errorf("AU-21: signed as %+v", s)
			}
			sent := unquoted(t, got.Body)
			want := unquoted(t, []byte(test.body))
			delete(want, "model")
			delete(want, "stream")
			want["anthropic_version"], want["anthropic_beta"] = `"bedrock-2030-01-01"`, `["b-1"]`
			if fmt.Sprint(sent) != fmt.Sprint(want) {
				t.Errorf("AP-12, HD-07: sent %v\nwant %v", sent, want)
			}
			for name, values := range got.Header {
				if strings.Contains(strings.Join(values, " "), k.secret) || strings.HasPrefix(name, "Anthropic-") {
					t.Errorf("AU-20: the provider saw %s: %v", name, values)
				}
			}
			e := b.event(k)
			if e.UserID != "u-1" || e.Model != opus || e.Provider != "bedrock" || e.Endpoint != test.path || e.Basis != gateway.BasisReported || e.Truncated {
				t.Errorf("event %+v", e)
			}
			if spent := b.books(k); test.contains != sseOf(fakeai.CompleteEvents) && spent != test.cost {
				t.Errorf("spent %v, want %v", spent, test.cost)
			}
			b.kept(a)
		})
	}
}

// unquoted are the members of a JSON object, raw.
func unquoted(t *testing.T, body []byte) map[string]string {
	t.Helper()
	var m map[string]json.RawMessage
	if err := json.Unmarshal(body, &m); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	out := make(map[string]string, len(m))
	for name, raw := range m {
		out[name] = string(raw)
	}
	return out
}

func sseOf(events []string) string {
	text := ""
	for _, e := range events {
		kind, _, _ := strings.Cut(strings.TrimPrefix(e, `{"type":"`), `"`)
		text += "event: " + kind + "\ndata: " + e + "\n\n"
	}
	return text
}

// Bedrock's own paths: bodies and answers byte for byte, ids and ARNs escaped as AWS
// has it, query and headers of AWS's own not the caller's to set.
func TestBedrockNative(t *testing.T) {
	const arn = "arn%3Aaws%3Abedrock%3Aeu-central-1%3A123456789012%3Ainference-profile%2Feu.anthropic.claude-opus-5-5"
	converse := `{"messages":[{"role":"user","content":[{"text":"hi"}]}], "inferenceConfig" : {"maxTokens":20}}`
	invoke := `{"anthropic_version":"bedrock-2023-05-31","max_tokens":20,"messages":[]}`
	for _, test := range []struct{ path, body, upstream string }{
		{"/model/" + opus + "/converse", converse, "/model/" + opus + "/converse"},
		{"/model/" + opus + "/converse-stream", converse, "/model/" + opus + "/converse-stream"},
		{"/model/" + opus + "/invoke", invoke, "/model/" + opus + "/invoke"},
		{"/model/" + arn + "/invoke-with-response-stream", invoke, "/model/" + arn + "/invoke-with-response-stream"},
		{"/model/us.anthropic.claude-haiku-4-5-20251001-v1:0/converse", converse, "/model/us.anthropic.claude-haiku-4-5-20251001-v1%3A0/converse"},
		{"/model/m/count-tokens", `{"input":{}}`, "/model/m/count-tokens"},
	} {
		t.Run(test.path, func(t *testing.T) {
			b := newBedrockRig(t)
			k := b.key()
			a := b.passed(b.call(k.secret, "POST", onBedrock+test.path+"?x=y", test.body, "X-Amz-Date: 20200101T000000Z", "X-Amz-Security-Token: mine", "X-Amzn-Bedrock-Trace: ENABLED"))
			got := b.aws.Last()
			if got.Path != test.upstream || got.Query != "" || string(got.Body) != test.body || got.Err != nil {
				t.Errorf("upstream %s?%s %s, %v", got.Path, got.Query, got.Body, got.Err)
			}
			if h := got.Header; h.Get("X-Amz-Security-Token") != "" || strings.HasPrefix(h.Get("X-Amz-Date"), "2020") || h.Get("X-Amzn-Bedrock-Trace") != "ENABLED" && !strings.Contains(test.path, "count") {
				t.Errorf("the provider saw %v", h)
			}
			direct := httptest.NewRecorder()
			r := httptest.NewRequest("POST", test.upstream, strings.NewReader(test.body))
			r.Header.Set("Authorization", "Bearer bedrock-key")
			b.aws.ServeHTTP(direct, r)
			if a.body != direct.Body.String() || a.header.Get("Content-Type") != direct.Header().Get("Content-Type") {
				t.Errorf("the answer has changed: %v %q", a.header, a.body)
			}
			e := b.event(k)
			if strings.Contains(test.path, "count") {
				return
			}
			if e.Basis != gateway.BasisReported || e.Cost == 0 || e.Truncated || e.Refused != "" || e.Usage["output"] != 20 || e.Usage["cache_write_long"] != 2 {
				t.Errorf("event %+v", e)
			}
			if strings.Contains(test.path, opus) && e.Cost != whole {
				t.Errorf("cost %v, want %v", e.Cost, gateway.NanoUSD(whole))
			}
			b.kept(a)
		})
	}
}

// AU-22: every kind of credential.
func testBedrockCredentials(t *testing.T) {
	b := newBedrockRig(t)
	path := onBedrock + "/model/" + opus + "/converse"
	b.passed(b.call(b.keyWith(map[string]string{"awsAccessKeyId": awsID, "awsSecretAccessKey": awsSecret, "awsSessionToken": awsToken}).secret, "POST", path, "{}"))
	if got := b.aws.Last(); got.Header.Get("X-Amz-Security-Token") != awsToken || !slices.Contains(got.Signed.Headers, "x-amz-security-token") {
		t.Errorf("a session token: %v", got.Header)
	}
	a := b.passed(b.call(b.keyWith(map[string]string{"apikey": "bedrock-key"}).secret, "POST", path, "{}"))
	if h := b.aws.Last().Header; h.Get("Authorization") != "Bearer bedrock-key" || h.Get("X-Amz-Date") != "" {
		t.Errorf("an API key: %v", h)
	}
	b.kept(a)
	// The process has no credentials: the call is not sent, and not charged.
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_CONFIG_FILE", t.TempDir()+"/none")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", t.TempDir()+"/none")
	before := len(b.aws.Requests())
	k := b.keyWith(map[string]string{"awsRoleArn": "default"}, budget(gateway.OneUSD))
	a = b.call(k.secret, "POST", path, `{"inferenceConfig":{"maxTokens":9}}`)
	if e := b.refused(a, 503, "credential_unavailable"); a.header.Get("X-Amzn-Errortype") != "ServiceUnavailableException" || strings.Contains(e.Error.Message, "provider:") {
		t.Errorf("%v %s", a.header, a.body)
	}
	if len(b.aws.Requests()) != before || b.books(k) != 0 {
		t.Error("the call was sent or charged")
	}
}

// A gateway that was built without the means to sign says so.
func TestBedrockWithoutSigner(t *testing.T) {
	b := newBedrockRig(t)
	b.rig = newRig(t)
	b.refused(b.call(b.key().secret, "POST", onBedrock+"/model/m/converse", "{}"), 500, "cannot_sign")
}

// A caller that signs with AWS credentials is told what to do instead.
func TestBedrockCallerSigns(t *testing.T) {
	b := newBedrockRig(t)
	a := b.call("", "POST", onBedrock+"/model/m/converse", "{}",
		"Authorization: AWS4-HMAC-SHA256 Credential=AKIAX/20260314/eu-central-1/bedrock/aws4_request, SignedHeaders=host, Signature=00")
	if e := b.refused(a, 401, "aws_signature_not_accepted"); !strings.Contains(e.Error.Message, "AWS_BEARER_TOKEN_BEDROCK") || a.header.Get("X-Amzn-Errortype") != "AccessDeniedException" {
		t.Errorf("%v %s", a.header, a.body)
	}
}

// AP-13: Bedrock's statuses and types pass; on the peer's paths in Anthropic's words.
// Nothing is charged, and nothing is tried twice.
func TestBedrockStatuses(t *testing.T) {
	for status, kind := range map[int]string{400: "ValidationException", 403: "AccessDeniedException", 404: "ResourceNotFoundException", 408: "ModelTimeoutException",
		424: "ModelErrorException", 429: "ThrottlingException", 500: "InternalServerException", 503: "ServiceUnavailableException"} {
		t.Run("AP-13 "+kind, func(t *testing.T) {
			b := newBedrockRig(t)
			b.aws.Override = func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
				fakeai.RefuseBedrock(w, status, kind, "Bedrock says no.")
				return true
			}
			k := b.key(budget(gateway.OneUSD))
			for _, verb := range []string{"converse", "converse-stream", "invoke", "invoke-with-response-stream"} {
				body := `{"max_tokens":20}`
				if strings.HasPrefix(verb, "converse") {
					body = `{"inferenceConfig":{"maxTokens":20}}`
				}
				a := b.call(k.secret, "POST", onBedrock+"/model/"+opus+"/"+verb, body)
				if a.status != status || !strings.HasPrefix(a.header.Get("X-Amzn-Errortype"), kind) || a.body != `{"message":"Bedrock says no."}`+"\n" {
					t.Errorf("%s: %d %v %s", verb, a.status, a.header, a.body)
				}
			}
			for _, stream := range []bool{false, true} {
				a := b.call(k.secret, "POST", bedrockMessages, claudeOn(opus, stream))
				var e struct {
					Type  string
					Error struct{ Type, Message string }
				}
				if err := json.Unmarshal([]byte(a.body), &e); err != nil || a.status != status || e.Type != "error" || e.Error.Type == "" || e.Error.Message != "Bedrock says no." {
					t.Errorf("messages: %d %s", a.status, a.body)
				}
			}
			if spent := b.books(k); spent != 0 || len(b.aws.Requests()) != 6 {
				t.Errorf("%d calls, %v spent", len(b.aws.Requests()), spent)
			}
		})
	}
}

// ST-09: what Bedrock has sent the caller has, before Bedrock sends more.
func TestBedrockStreamsIncrementally(t *testing.T) {
	for _, test := range []struct{ path, body, second string }{
		{bedrockMessages, claudeOn(opus, true), "event: content_block_start\n"},
		{onBedrock + "/model/" + opus + "/invoke-with-response-stream", "{}", string(fakeai.ClaudeFrames[1])},
	} {
		t.Run("ST-09 "+test.path, func(t *testing.T) {
			b := newBedrockRig(t)
			more := make(chan bool)
			b.aws.Override = func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
				for _, f := range fakeai.ClaudeFrames {
					b.aws.Stream(w, r, f)
					b.wait(more)
				}
				return true
			}
			k := b.key()
			res, err := b.client.Do(b.request(k.secret, "POST", test.path, test.body))
			b.must(err)
			defer res.Body.Close()
			src := bufio.NewReader(res.Body)
			if _, err := src.Peek(10); err != nil {
				t.Fatal(err)
			}
			n := src.Buffered()
			if _, err := src.Discard(n); err != nil {
				t.Fatal(err)
			}
			more <- true // only now the second frame is sent
			got := make([]byte, len(test.second))
			if _, err := io.ReadFull(src, got); err != nil || string(got) != test.second {
				t.Fatalf("got %q, %v", got, err)
			}
			close(more)
			if _, err := io.Copy(io.Discard, src); err != nil {
				t.Error(err)
			}
			if e := b.event(k); e.Cost != whole || e.Truncated {
				t.Errorf("event %+v", e)
			}
		})
	}
}

// ST-13, ST-14: a stream that breaks off, in the middle of a frame, ends with one error
// that its SDKs understand; what had come is charged.
func TestBedrockStreamBreaks(t *testing.T) {
	cut := func(w http.ResponseWriter, r *http.Request, b *fakeai.Bedrock) {
		b.Stream(w, r, append(slices.Clone(fakeai.ClaudeFrames[:3]), fakeai.ClaudeFrames[3][:20])...)
		panic(http.ErrAbortHandler)
	}
	hang := func(w http.ResponseWriter, r *http.Request, b *fakeai.Bedrock) {
		b.Stream(w, r, fakeai.ClaudeFrames[:3]...)
		<-r.Context().Done()
	}
	for _, test := range []struct {
		name, code, kind string
		end              func(http.ResponseWriter, *http.Request, *fakeai.Bedrock)
	}{{"ST-13 cut", "upstream_interrupted", "api_error", cut}, {"ST-14 too slow", "upstream_timeout", "timeout_error", hang}} {
		t.Run(test.name, func(t *testing.T) {
			b := newBedrockRig(t)
			b.aws.Override = func(w http.ResponseWriter, r *http.Request, _ []byte) bool { test.end(w, r, b.aws); return true }
			k := b.key(budget(gateway.OneUSD))
			const plain = "us.anthropic.claude-haiku-4-5-20251001-v1:0" // does not think by itself
			a := b.call(k.secret, "POST", bedrockMessages, claudeOn(plain, true), "x-request-timeout: 500ms")
			rest, ok := strings.CutPrefix(a.body, sseOf(fakeai.ClaudeEvents[:3])+"event: error\ndata: ")
			if !ok || !strings.Contains(rest, `"type":"`+test.kind+`"`) || strings.Count(rest, "\n\n") != 1 || a.err != nil {
				t.Errorf("messages: %v, %q", a.err, a.body)
			}
			a = b.call(k.secret, "POST", onBedrock+"/model/"+plain+"/invoke-with-response-stream", `{"anthropic_version":"x","max_tokens":20,"messages":[{"role":"user","content":"hi"}]}`, "x-request-timeout: 500ms")
			var frames []eventstream.Frame
			var dec eventstream.Decoder
			if err := dec.Feed([]byte(a.body), func(f eventstream.Frame) { frames = append(frames, f) }); err != nil || !dec.Whole() || a.err != nil || len(frames) != 4 {
				t.Fatalf("native: %v, %v, %d frames", err, a.err, len(frames))
			}
			if last := frames[3]; last.Kind != eventstream.Exception || !strings.Contains(string(last.Payload), `"message":"[Tollgate] `) {
				t.Errorf("the last frame is %s %s %s", last.Kind, last.Name, last.Payload)
			}
			for _, e := range b.events(k) {
				// The input as told, and what our tokenizer makes of "Hello ".
				if !e.Truncated || e.Refused != test.code || e.Basis != gateway.BasisEstimated || e.Usage["input"] != 10 || e.Usage["output"] == 0 || e.Usage["output"] > 20 {
					t.Errorf("event %+v", e)
				}
			}
			b.books(k)
		})
	}
}

// An error of Bedrock's within a stream passes on and is noted.
func TestBedrockStreamException(t *testing.T) {
	b := newBedrockRig(t)
	b.aws.Override = func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
		b.aws.Stream(w, r, fakeai.ClaudeFrames[0], fakeai.Frame("exception", "throttlingException", `{"message":"slow down"}`))
		return true
	}
	for _, test := range []struct{ path, body, contains string }{
		{bedrockMessages, claudeOn(opus, true), `"message":"slow down","type":"rate_limit_error"`},
		{onBedrock + "/model/" + opus + "/converse-stream", `{"inferenceConfig":{"maxTokens":9}}`, `{"message":"slow down"}`},
	} {
		k := b.key()
		if a := b.passed(b.call(k.secret, "POST", test.path, test.body)); !strings.Contains(a.body, test.contains) {
			t.Errorf("%s: %q", test.path, a.body)
		}
		if e := b.event(k); e.Refused != "upstream_error_event" || !e.Truncated {
			t.Errorf("%s: event %+v", test.path, e)
		}
	}
}

// ST-15: a caller that leaves ends the call upstream, and is charged for what had come.
func testBedrockCallerLeaves(t *testing.T) {
	b := newBedrockRig(t)
	gone := make(chan bool, 1)
	b.aws.Override = func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
		b.aws.Stream(w, r, fakeai.ClaudeFrames[:4]...)
		<-r.Context().Done()
		gone <- true
		return true
	}
	k := b.key()
	res, err := b.client.Do(b.request(k.secret, "POST", bedrockMessages, claudeOn(opus, true)))
	b.must(err)
	if _, err := io.ReadFull(res.Body, make([]byte, len(sseOf(fakeai.ClaudeEvents[:4])))); err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	select {
	case <-gone:
	case <-time.After(10 * time.Second):
		t.Fatal("the call goes on upstream")
	}
	if e := b.event(k); !e.Truncated || e.Cost == 0 || e.Refused != "client_closed_request" {
		t.Errorf("event %+v", e)
	}
}

// CO-09: a model costs what it costs under all of its names, and more where its
// geography does.
func TestBedrockPrices(t *testing.T) {
	b := newBedrockRig(t)
	cost := func(model string) gateway.NanoUSD {
		k := b.key(budget(gateway.OneUSD))
		b.passed(b.call(k.secret, "POST", onBedrock+"/model/"+model+"/converse", `{"inferenceConfig":{"maxTokens":20}}`))
		return b.books(k)
	}
	for model, want := range map[string]gateway.NanoUSD{
		"us.anthropic.claude-opus-5-5":   whole,
		"eu.anthropic.claude-opus-5-5":   whole,
		"apac.anthropic.claude-opus-5-5": whole,
		"arn%3Aaws%3Abedrock%3Aeu-west-1%3A123456789012%3Ainference-profile%2Feu.anthropic.claude-opus-5-5": whole,
		"anthropic.claude-opus-5-5":        whole * 10 / 11,
		"global.anthropic.claude-opus-5-5": whole * 10 / 11,
		"amazon.nova-micro-v1:0":           10*35 + 4*35/4 + 3*35 + 20*140,
		"us.amazon.nova-micro-v1:0":        10*35 + 4*35/4 + 3*35 + 20*140,
	} {
		t.Run("CO-09 "+model, func(t *testing.T) {
			if got := cost(model); got != want {
				t.Errorf("%v, want %v", got, want)
			}
		})
	}
	k := b.key(budget(gateway.OneUSD))
	b.refused(b.call(k.secret, "POST", onBedrock+"/model/nobody.knows-v1:0/converse", `{}`), 403, "model_price_unknown")
	b.refused(b.call(k.secret, "POST", onBedrock+"/model/"+opus+"/converse", `{"serviceTier":{"type":"priority"}}`), 403, "cost_not_boundable")
}

// An output cap is lowered where each form has it, and only there; a body without one
// gets one where the form has a place for it.
func TestBedrockCapLowered(t *testing.T) {
	for _, test := range []struct {
		path, body, member string
		budget             gateway.NanoUSD
	}{
		{"/model/" + opus + "/converse", `{"messages":[],"inferenceConfig":{"maxTokens":100000}}`, "maxTokens", 2_000_000},
		{"/model/" + opus + "/converse", `{"messages":[]}`, "maxTokens", 2_000_000},
		{"/model/" + opus + "/invoke", `{"anthropic_version":"x","max_tokens":100000}`, "max_tokens", 2_000_000},
		{"/model/us.meta.llama3-3-70b-instruct-v1:0/invoke", `{"prompt":"x"}`, "max_gen_len", 100_000},
		{"/anthropic/v1/messages", claudeOn(opus, false), "max_tokens", 20_000_000},
	} {
		b := newBedrockRig(t)
		k := b.key(budget(test.budget))
		body := strings.Replace(test.body, `"max_tokens":20`, `"max_tokens":100000`, 1)
		a := b.call(k.secret, "POST", onBedrock+test.path, body)
		if a.status != 200 {
			t.Errorf("%s: %d %s", test.path, a.status, a.body)
			continue
		}
		capped := a.header.Get("X-Tollgate-Max-Output-Tokens")
		if sent := string(b.aws.Last().Body); capped == "" || !strings.Contains(sent, `"`+test.member+`":`+capped) {
			t.Errorf("%s: capped at %q, sent %s", test.path, capped, sent)
		}
		b.books(k)
	}
}

// A limit is refused so that SDKs of AWS raise their typed errors.
func TestBedrockRefusals(t *testing.T) {
	b := newBedrockRig(t)
	rate := b.key(limited(gateway.Limit{Measure: gateway.Requests, Per: gateway.Month, Max: 1}))
	path := onBedrock + "/model/" + opus + "/converse"
	b.passed(b.call(rate.secret, "POST", path, "{}"))
	a := b.call(rate.secret, "POST", path, "{}")
	b.refused(a, 429, "rate_limit_exceeded")
	if got := a.header.Get("X-Amzn-Errortype"); got != "ThrottlingException" || !strings.HasPrefix(a.body, `{"message":"[Tollgate] `) {
		t.Errorf("%s %s", got, a.body)
	}
	poor := b.key(budget(1))
	a = b.call(poor.secret, "POST", path, "{}")
	b.refused(a, 400, "insufficient_quota")
	if got := a.header.Get("X-Amzn-Errortype"); got != "ServiceQuotaExceededException" {
		t.Error(got)
	}
}
