package main

import (
	"testing"
	"time"
)

// A key or a user whose ttl is over may not call, whether or not anybody revoked it.
func TestExpiredState(t *testing.T) {
	c := newCLI(t)
	setting := c.one("providers", "create", "openai", "--apikey-stdin").text("id")
	c.one("keys", "create", "--name", "short", "--setting", setting, "--ttl", "1h")
	user := c.one("users", "create", "--user", "ann", "--ttl", "1h").text("id")
	c.shows([]string{"active"}, "keys", "show", "short")
	c.shows([]string{"active"}, "users", "show", user)
	c.now = func() time.Time { return time.Now().Add(time.Hour) }
	c.shows([]string{"expired"}, "keys", "show", "short")
	c.shows([]string{"expired"}, "users", "show", user)
	c.shows([]string{"revoked: leaked"}, "keys", "revoke", "short", "--reason", "leaked")
}
