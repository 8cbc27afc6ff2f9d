package secret_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"tollgate/internal/secret"
)

var _ secret.Box = (*secret.FileBox)(nil)

var bind = map[string]string{"setting": "s1", "provider": "openai"}

func open(t *testing.T, path string) *secret.FileBox {
	t.Helper()
	box, err := secret.OpenFileBox(path)
	if err != nil {
		t.Fatal(err)
	}
	return box
}

func TestFileBox(t *testing.T) {
	ctx, path := context.Background(), filepath.Join(t.TempDir(), "key")
	box := open(t, path)
	for _, plain := range []string{"", "x", `{"apikey":"sk-1"}`, string(bytes.Repeat([]byte{0, 0xff}, 5000))} {
		sealed, err := box.Seal(ctx, []byte(plain), bind)
		if err != nil || len(plain) > 2 && bytes.Contains(sealed, []byte(plain)) {
			t.Errorf("%.20q is sealed as %.40q, %v", plain, sealed, err)
		}
		again, _ := box.Seal(ctx, []byte(plain), bind)
		if bytes.Equal(sealed, again) {
			t.Errorf("%.20q is sealed to the same bytes twice", plain)
		}
		// A restart finds the same key; the order of the context does not matter.
		got, err := open(t, path).Open(ctx, sealed, map[string]string{"provider": "openai", "setting": "s1"})
		if err != nil || string(got) != plain {
			t.Errorf("%.20q opens as %.20q, %v", plain, got, err)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 || info.Size() != 32 {
		t.Errorf("key file: %v, %v", info, err)
	}
	if left, _ := filepath.Glob(path + "*"); len(left) != 1 {
		t.Errorf("files left: %v", left)
	}
}

func TestFileBoxRefuses(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	box, other := open(t, filepath.Join(dir, "key")), open(t, filepath.Join(dir, "other"))
	sealed, err := box.Seal(ctx, []byte("secret"), bind)
	if err != nil {
		t.Fatal(err)
	}
	for _, wrong := range []map[string]string{nil, {}, {"setting": "s1"}, {"setting": "s2", "provider": "openai"}, {"setting": "s1", "provider": "openai", "more": ""}} {
		if got, err := box.Open(ctx, sealed, wrong); err == nil || got != nil {
			t.Errorf("opens for %v: %q", wrong, got)
		}
	}
	if got, err := other.Open(ctx, sealed, bind); err == nil {
		t.Errorf("another key opens it: %q", got)
	}
	for n := range sealed {
		if got, err := box.Open(ctx, sealed[:n], bind); err == nil {
			t.Errorf("%d of %d bytes open: %q", n, len(sealed), got)
		}
		changed := bytes.Clone(sealed)
		changed[n] ^= 1
		if got, err := box.Open(ctx, changed, bind); err == nil {
			t.Errorf("byte %d changed opens: %q", n, got)
		}
	}
	if _, err := box.Open(ctx, append(sealed, 0), bind); err == nil {
		t.Error("a byte more opens")
	}
}

func TestKeyFileRefused(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct {
		name string
		size int
		mode os.FileMode
	}{{"others read", 32, 0o604}, {"group reads", 32, 0o640}, {"group writes", 32, 0o620}, {"short", 31, 0o600}, {"long", 33, 0o600}, {"empty", 0, 0o600}} {
		path := filepath.Join(dir, tt.name)
		os.WriteFile(path, make([]byte, tt.size), tt.mode)
		os.Chmod(path, tt.mode) // whatever the umask
		if _, err := secret.OpenFileBox(path); err == nil {
			t.Errorf("%s: the file is taken", tt.name)
		}
	}
	for _, path := range []string{dir, filepath.Join(dir, "no", "such", "directory")} {
		if _, err := secret.OpenFileBox(path); err == nil {
			t.Errorf("%s is taken", path)
		}
	}
}

// boxPath tells this program, started once more, to seal with the key at the path.
const boxPath = "TOLLGATE_TEST_BOX"

func TestMain(m *testing.M) {
	path := os.Getenv(boxPath)
	if path == "" {
		os.Exit(m.Run())
	}
	box, err := secret.OpenFileBox(path)
	if err == nil {
		var sealed []byte
		if sealed, err = box.Seal(context.Background(), []byte("secret"), bind); err == nil {
			fmt.Println(hex.EncodeToString(sealed))
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Processes that start at once and find no key file must end up with one key.
func TestProcessesRaceForTheKey(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		path := filepath.Join(t.TempDir(), "key")
		var started []*exec.Cmd
		var outs [4]bytes.Buffer
		for i := range outs {
			cmd := exec.CommandContext(t.Context(), self)
			cmd.Env = append(os.Environ(), boxPath+"="+path)
			cmd.Stdout, cmd.Stderr = &outs[i], os.Stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			started = append(started, cmd)
		}
		for i, cmd := range started {
			if err := cmd.Wait(); err != nil {
				t.Fatal(err)
			}
			sealed, err := hex.DecodeString(string(bytes.TrimSpace(outs[i].Bytes())))
			if err != nil {
				t.Fatal(err)
			}
			if plain, err := open(t, path).Open(t.Context(), sealed, bind); err != nil || string(plain) != "secret" {
				t.Errorf("process %d sealed with a key of its own: %v", i, err)
			}
		}
	}
}
