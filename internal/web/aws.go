package web

import (
	"encoding/json"
	"net/http"

	"tollgate/internal/gateway"
)

// awsTypes are the kinds of failure as Bedrock names them. SDKs of AWS raise their
// typed errors, and try again, by these names.
var awsTypes = map[gateway.Kind]string{
	gateway.Internal:        "InternalServerException",
	gateway.Invalid:         "ValidationException",
	gateway.Unauthenticated: "AccessDeniedException",
	gateway.Forbidden:       "AccessDeniedException",
	gateway.NotFound:        "ResourceNotFoundException",
	gateway.Conflict:        "ConflictException",
	gateway.TooLarge:        "ValidationException",
	gateway.RateLimited:     "ThrottlingException",
	gateway.QuotaExceeded:   "ServiceQuotaExceededException",
	gateway.Unavailable:     "ServiceUnavailableException",
	gateway.BadGateway:      "ModelErrorException",
	gateway.Timeout:         "ModelTimeoutException",
	gateway.Outdated:        "ValidationException",
}

// awsBody is the error body of Bedrock, with what those of all dialects have.
type awsBody struct {
	Message string `json:"message"`
	errorBody
}

func newAWSBody(e *gateway.Error, detail errorDetail, requestID string) []byte {
	detail.Type = awsTypes[e.Kind]
	b, _ := json.Marshal(awsBody{detail.Message, errorBody{"error", detail, requestID}}) // strings always marshal
	return b
}

// awsHeaders tells SDKs the type of an error, which they look for here first.
func awsHeaders(h http.Header, e *gateway.Error) { h.Set("X-Amzn-Errortype", awsTypes[e.Kind]) }
