// Package openapi holds the description of the HTTP API for tools: the admin API
// and the proxy's own endpoints, in OpenAPI 3.1.
//
// The document is written by hand. Tests hold it to the handlers: each route of one
// is in the other, each example fits its schema, and each answer that any test of the
// admin API gets fits what is written here.
package openapi

import _ "embed"

// Document is the document as JSON. It is not to be changed.
//
//go:embed openapi.json
var Document []byte
