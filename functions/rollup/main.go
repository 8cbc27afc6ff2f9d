// Command rollup is the Lambda function that folds the usage table's stream into
// sums. It only wires, and takes stream records apart.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"

	"tollgate/internal/awsconfig"
	"tollgate/internal/config"
	"tollgate/internal/gateway"
	"tollgate/internal/rollup"
	"tollgate/internal/store/dynamo"
	"tollgate/internal/telemetry"
)

func main() {
	f, err := wire(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, "rollup:", err)
		os.Exit(1)
	}
	lambda.Start(f.handle)
}

func wire(ctx context.Context) (*folder, error) {
	env, err := config.FromEnvironment()
	if err != nil {
		return nil, err
	}
	cfg, err := awsconfig.Load(ctx)
	if err != nil {
		return nil, err
	}
	store := dynamo.New(dynamo.NewClient(cfg), dynamo.Options{
		GatewayTable: env.GatewayTable, UsageTable: env.UsageTable, Retention: env.Retention,
	})
	return &folder{fold: store.Fold, log: telemetry.NewLogger(os.Stdout, env.Level)}, nil
}

type folder struct {
	fold func(context.Context, []gateway.Event) (int, error)
	log  *slog.Logger
}

// handle folds a batch. After an error Lambda delivers the whole batch again, from
// the record that is named as failed, which is the first: what was counted before
// is known and not counted twice. A record that cannot be read, or an event that the
// sums cannot take, would block its shard, so it is logged and passed over; the event
// itself is in the table.
func (f *folder) handle(ctx context.Context, batch events.DynamoDBEvent) (events.DynamoDBEventResponse, error) {
	var list []gateway.Event
	for i := range batch.Records {
		change := &batch.Records[i].Change
		image := change.NewImage
		if image == nil {
			continue
		}
		e, is, err := dynamo.EventOfImage(attribute(image, "pk"), attribute(image, "doc"))
		if err != nil {
			f.log.ErrorContext(ctx, "stream record without a readable event", "sequence", change.SequenceNumber, "error", err)
			continue
		}
		if is && batch.Records[i].EventName == string(events.DynamoDBOperationTypeInsert) {
			list = append(list, e)
		}
	}
	folded, err := f.fold(ctx, list)
	if rejected := new(rollup.Rejected); errors.As(err, &rejected) {
		// Nor would they be counted the next time; all others are.
		f.log.ErrorContext(ctx, "events that cannot be counted in the sums", "events", rejected.EventIDs, "error", rejected.Err)
		err = nil
	}
	if err != nil {
		f.log.ErrorContext(ctx, "batch not folded: it will be delivered again", "events", len(list), "folded", folded, "error", err)
		return failedFrom(batch.Records[0].Change.SequenceNumber), nil
	}
	f.log.DebugContext(ctx, "folded", "events", len(list), "folded", folded)
	return events.DynamoDBEventResponse{BatchItemFailures: []events.DynamoDBBatchItemFailure{}}, nil
}

func failedFrom(sequence string) events.DynamoDBEventResponse {
	return events.DynamoDBEventResponse{BatchItemFailures: []events.DynamoDBBatchItemFailure{{ItemIdentifier: sequence}}}
}

// attribute is a string of an image, empty if it is none.
func attribute(image map[string]events.DynamoDBAttributeValue, name string) string {
	if v, ok := image[name]; ok && v.DataType() == events.DataTypeString {
		return v.String()
	}
	return ""
}
