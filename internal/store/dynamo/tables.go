package dynamo

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// CreateTables creates both tables as template.yaml declares them, for a local
// database and for tests, and waits until they can be used. Tables that are there
// stay as they are.
func CreateTables(ctx context.Context, client *dynamodb.Client, opts Options) error {
	for _, table := range []*dynamodb.CreateTableInput{gatewayTable(opts.GatewayTable), usageTable(opts.UsageTable)} {
		if err := createTable(ctx, client, table); err != nil {
			return err
		}
	}
	return nil
}

func createTable(ctx context.Context, client *dynamodb.Client, in *dynamodb.CreateTableInput) error {
	_, err := client.CreateTable(ctx, in)
	var there *types.ResourceInUseException
	if err != nil && !errors.As(err, &there) {
		return err
	}
	waiter := dynamodb.NewTableExistsWaiter(client, func(o *dynamodb.TableExistsWaiterOptions) {
		o.MinDelay, o.MaxDelay = 50*time.Millisecond, 2*time.Second
	})
	err = waiter.Wait(ctx, &dynamodb.DescribeTableInput{TableName: in.TableName}, time.Minute)
	if err != nil {
		return err
	}
	return enableTTL(ctx, client, in.TableName)
}

// enableTTL looks first, because enabling it twice is an error.
func enableTTL(ctx context.Context, client *dynamodb.Client, table *string) error {
	out, err := client.DescribeTimeToLive(ctx, &dynamodb.DescribeTimeToLiveInput{TableName: table})
	if err != nil {
		return err
	}
	if d := out.TimeToLiveDescription; d != nil && (d.TimeToLiveStatus == types.TimeToLiveStatusEnabled ||
		d.TimeToLiveStatus == types.TimeToLiveStatusEnabling) {
		return nil
	}
	_, err = client.UpdateTimeToLive(ctx, &dynamodb.UpdateTimeToLiveInput{
		TableName: table,
		TimeToLiveSpecification: &types.TimeToLiveSpecification{
			AttributeName: aws.String(attrTTL), Enabled: aws.Bool(true),
		},
	})
	return err
}

func gatewayTable(name string) *dynamodb.CreateTableInput {
	in := table(name, attrKind, attrKindSort)
	in.GlobalSecondaryIndexes = []types.GlobalSecondaryIndex{index(indexKind, attrKind, attrKindSort)}
	return in
}

func usageTable(name string) *dynamodb.CreateTableInput {
	in := table(name, attrUser, attrCustom)
	in.GlobalSecondaryIndexes = []types.GlobalSecondaryIndex{
		index(indexUser, attrUser, attrSK),
		index(indexCustom, attrCustom, attrSK),
	}
	in.StreamSpecification = &types.StreamSpecification{
		StreamEnabled: aws.Bool(true), StreamViewType: types.StreamViewTypeNewImage,
	}
	return in
}

// table is a table with our primary key; indexed names the string attributes that
// its indexes need besides.
func table(name string, indexed ...string) *dynamodb.CreateTableInput {
	in := &dynamodb.CreateTableInput{
		TableName:   &name,
		BillingMode: types.BillingModePayPerRequest,
		KeySchema:   schema(attrPK, attrSK),
	}
	for _, attribute := range append([]string{attrPK, attrSK}, indexed...) {
		in.AttributeDefinitions = append(in.AttributeDefinitions, types.AttributeDefinition{
			AttributeName: aws.String(attribute), AttributeType: types.ScalarAttributeTypeS,
		})
	}
	return in
}

func index(name, hash, sort string) types.GlobalSecondaryIndex {
	return types.GlobalSecondaryIndex{
		IndexName:  &name,
		KeySchema:  schema(hash, sort),
		Projection: &types.Projection{ProjectionType: types.ProjectionTypeAll},
	}
}

func schema(hash, sort string) []types.KeySchemaElement {
	return []types.KeySchemaElement{
		{AttributeName: &hash, KeyType: types.KeyTypeHash},
		{AttributeName: &sort, KeyType: types.KeyTypeRange},
	}
}
