package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

func runNode(t *testing.T, g *running, k *keys) {
	modules := need(t, ".ci/tools/sdk/node_modules")
	runScript(t, g, k, []string{"NODE_PATH=" + modules}, needCommand(t, "node"), "clients/node/checks.js")
}

func runPython(t *testing.T, g *running, k *keys) {
	python := need(t, ".build/sdk/venv/bin/python")
	runScript(t, g, k, []string{"PYTHONDONTWRITEBYTECODE=1"}, python, "clients/python/checks.py")
}

// runScript runs a client of the OpenAI family: it has to make all checks of the
// Go SDK.
func runScript(t *testing.T, g *running, k *keys, env []string, command ...string) {
	var names []string
	for _, c := range goChecks {
		names = append(names, c.name)
	}
	runChecks(t, names, append(env,
		"BASE_URL="+g.openAI(),
		"KEY="+k.open.Secret, "KEY_FAR="+k.far.Secret, "KEY_NEAR="+k.near.Secret,
		"KEY_QUOTA="+k.quota.Secret, "KEY_MODELS="+k.models.Secret,
		"VOICE="+fileOf(t, "voice.mp3", voice), "PICTURE="+fileOf(t, "picture.png", picture)), command...)
}

// runChecks runs a client that prints one line of JSON for each check, and makes a
// subtest of each. The named checks have to be among them.
func runChecks(t *testing.T, names, env []string, command ...string) {
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = append(env, "PATH="+os.Getenv("PATH"), "HOME="+t.TempDir())
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.Output()
	seen := make(map[string]bool)
	failed := false
	for lines := bufio.NewScanner(bytes.NewReader(stdout)); lines.Scan(); {
		var c struct {
			Check, Detail string
			OK            bool
		}
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Errorf("line %q: %v", lines.Text(), err)
			continue
		}
		seen[c.Check], failed = true, failed || !c.OK
		t.Run(c.Check, func(t *testing.T) {
			if !c.OK {
				t.Error(c.Detail)
			}
		})
	}
	for _, name := range names {
		if !seen[name] {
			t.Errorf("%q was not checked", name)
		}
	}
	if err != nil && !failed {
		t.Errorf("%v\n%s", err, &stderr)
	}
}

// fileOf writes a file for a script to send.
func fileOf(t *testing.T, name string, content []byte) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
