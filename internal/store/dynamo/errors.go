package dynamo

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"

	"tollgate/internal/gateway"
)

// conflictCode is the answer to a plain write that met a transaction.
const conflictCode = "TransactionConflictException"

// Why a transaction did not happen, although nothing is broken.
var (
	errCondition = errors.New("dynamo: a condition does not hold")
	errBusy      = errors.New("dynamo: disturbed by another write")
)

// storageError turns the SDK's errors into the gateway's, where they enter.
func storageError(err error) error {
	if err == nil {
		return nil
	}
	if passing(err) {
		return &gateway.Error{
			Kind:       gateway.Unavailable,
			Code:       "storage_unavailable",
			Message:    "The gateway's storage does not answer. Please try again.",
			RetryAfter: time.Second,
			Err:        err,
		}
	}
	return broken(err)
}

// broken is an error that trying again does not help: a missing table or right,
// or an item that is not what the store writes.
func broken(err error) error {
	return &gateway.Error{
		Kind:    gateway.Internal,
		Code:    "storage_failure",
		Message: "The gateway cannot use its storage.",
		Err:     err,
	}
}

// invalid reports whether DynamoDB finds the request itself wrong, such as an item
// that is too large.
func invalid(err error) bool {
	var canceled *types.TransactionCanceledException
	if errors.As(err, &canceled) {
		return slices.ContainsFunc(canceled.CancellationReasons, func(r types.CancellationReason) bool {
			return r.Code != nil && *r.Code == "ValidationError"
		})
	}
	var api smithy.APIError
	return errors.As(err, &api) && api.ErrorCode() == "ValidationException"
}

// passing reports whether err may be gone the next time: everything but an
// answer that says the request itself is wrong.
func passing(err error) bool {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return true // no answer, or none that can be read
	}
	var answer interface{ HTTPStatusCode() int }
	if errors.As(err, &answer) && answer.HTTPStatusCode() >= http.StatusInternalServerError {
		return true
	}
	code := api.ErrorCode()
	_, throttled := retry.DefaultThrottleErrorCodes[code]
	_, timeout := retry.DefaultRetryableErrorCodes[code]
	return throttled || timeout || code == conflictCode || api.ErrorFault() == smithy.FaultServer
}

// conditionFailed returns the item as it was if err says that a condition on it
// did not hold. The item is empty if it was not there.
func conditionFailed(err error) (item, bool) {
	var failed *types.ConditionalCheckFailedException
	if !errors.As(err, &failed) {
		return nil, false
	}
	return failed.Item, true
}

// transactionError is storageError for transactions: errCondition, errBusy, or
// what storageError says.
func transactionError(err error) error {
	var conflict *types.TransactionConflictException
	if errors.As(err, &conflict) {
		return errBusy
	}
	var canceled *types.TransactionCanceledException
	if !errors.As(err, &canceled) {
		return storageError(err)
	}
	busy := false
	for _, reason := range canceled.CancellationReasons {
		if reason.Code == nil {
			continue
		}
		switch *reason.Code {
		case "ConditionalCheckFailed":
			return errCondition
		case "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded":
			busy = true
		}
	}
	if busy {
		return errBusy
	}
	return broken(err)
}
