package main

import (
	"encoding/json"
	"net/http"
	"os"

	"github.com/spf13/cobra"
)

func (p *program) pricesSet() *cobra.Command {
	var check bool
	c := &cobra.Command{
		Use:     "set FILE",
		Short:   "Replace the price table; a table with a fault is refused as a whole",
		Example: "  tollgate prices set prices.json --check && tollgate prices set prices.json",
		Args:    exactly("a file"),
		RunE: func(c *cobra.Command, args []string) error {
			text, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			if !json.Valid(text) {
				return usage("%s is not JSON", args[0])
			}
			method, path := http.MethodPut, "/api/prices"
			if check {
				method, path = http.MethodPost, "/api/prices/check"
			}
			var table row
			if err := p.call(c.Context(), method, path, nil, json.RawMessage(text), &table); err != nil {
				return err
			}
			return p.showOne(table, member("version", "version"), member("date", "date"), member("models", "models"))
		},
	}
	c.Flags().BoolVar(&check, "check", false, "only say whether it would be accepted")
	return c
}
