package provider

import "strings"

// openAIPrefix is where OpenAI's API stands on the proxy.
const openAIPrefix = "/api/providers/openai/v1"

// openAIRows are the endpoints of OpenAI's API, below its version. The parameter
// names are API: keys' allowedPaths name these patterns. Not here on purpose:
// realtime, live and client secrets, which would let a caller talk to the provider
// past the gateway, the organization's administration, and what is neither priced
// here nor asked for so far: containers, evals and videos.
func openAIRows() []Endpoint {
	table := []Endpoint{
		{Method: "POST", Pattern: "/chat/completions", Metering: Chat},
		{Method: "POST", Pattern: "/completions", Metering: Completion},
		{Method: "POST", Pattern: "/responses", Metering: Responses},
		{Method: "POST", Pattern: "/embeddings", Metering: Embeddings},
		{Method: "POST", Pattern: "/decisions", Metering: Embeddings}, // tokens in, as there
		{Method: "POST", Pattern: "/images/generations", Metering: Image},
		{Method: "POST", Pattern: "/images/edits", Metering: Image, Form: true},
		{Method: "POST", Pattern: "/images/variations", Metering: Image, Form: true},
		{Method: "POST", Pattern: "/audio/speech", Metering: Speech},
		{Method: "POST", Pattern: "/audio/transcriptions", Metering: Transcription, Form: true},
		{Method: "POST", Pattern: "/audio/translations", Metering: Transcription, Form: true},
		{Method: "POST", Pattern: "/files", Form: true, File: true},
		{Method: "POST", Pattern: "/uploads/:upload_id/parts", Form: true},
		{Method: "POST", Pattern: "/threads/runs", Metering: Run},
		{Method: "POST", Pattern: "/threads/:thread_id/runs", Metering: Run},
		{Method: "POST", Pattern: "/threads/:thread_id/runs/:run_id/submit_tool_outputs", Metering: Run},
		{Method: "POST", Pattern: "/vector_stores/:vector_store_id/search", Metering: FileSearch},
		{Method: "POST", Pattern: "/batches", Metering: Unbounded},
		{Method: "POST", Pattern: "/fine_tuning/jobs", Metering: Unbounded},
		{Method: "POST", Pattern: "/fine_tuning/alpha/graders/run", Metering: Unbounded},
		{Method: "POST", Pattern: "/responses/compact", Metering: Responses},
	}
	for line := range strings.Lines(openAIFree) {
		if f := strings.Fields(line); len(f) == 2 {
			table = append(table, Endpoint{Method: f[0], Pattern: f[1]})
		}
	}
	return table
}

// openAIFree lists the endpoints that cost nothing by themselves.
const openAIFree = `
POST   /moderations
GET    /models
GET    /models/:model
DELETE /models/:model

GET    /chat/completions
GET    /chat/completions/:completion_id
POST   /chat/completions/:completion_id
DELETE /chat/completions/:completion_id
GET    /chat/completions/:completion_id/messages

GET    /responses/:response_id
DELETE /responses/:response_id
POST   /responses/:response_id/cancel
GET    /responses/:response_id/input_items
POST   /responses/input_tokens
POST   /conversations
GET    /conversations/:conversation_id
POST   /conversations/:conversation_id
DELETE /conversations/:conversation_id
POST   /conversations/:conversation_id/items
GET    /conversations/:conversation_id/items
GET    /conversations/:conversation_id/items/:item_id
DELETE /conversations/:conversation_id/items/:item_id

POST   /assistants
GET    /assistants
GET    /assistants/:assistant_id
POST   /assistants/:assistant_id
DELETE /assistants/:assistant_id
POST   /assistants/:assistant_id/files
GET    /assistants/:assistant_id/files
GET    /assistants/:assistant_id/files/:file_id
DELETE /assistants/:assistant_id/files/:file_id

POST   /threads
GET    /threads/:thread_id
POST   /threads/:thread_id
DELETE /threads/:thread_id
POST   /threads/:thread_id/messages
GET    /threads/:thread_id/messages
GET    /threads/:thread_id/messages/:message_id
POST   /threads/:thread_id/messages/:message_id
DELETE /threads/:thread_id/messages/:message_id
GET    /threads/:thread_id/messages/:message_id/files
GET    /threads/:thread_id/messages/:message_id/files/:file_id
GET    /threads/:thread_id/runs
GET    /threads/:thread_id/runs/:run_id
POST   /threads/:thread_id/runs/:run_id
POST   /threads/:thread_id/runs/:run_id/cancel
GET    /threads/:thread_id/runs/:run_id/steps
GET    /threads/:thread_id/runs/:run_id/steps/:step_id

GET    /files
GET    /files/:file_id
DELETE /files/:file_id
GET    /files/:file_id/content
POST   /uploads
POST   /uploads/:upload_id/complete
POST   /uploads/:upload_id/cancel

GET    /batches
GET    /batches/:batch_id
POST   /batches/:batch_id/cancel

GET    /fine_tuning/jobs
GET    /fine_tuning/jobs/:job_id
POST   /fine_tuning/jobs/:job_id/cancel
POST   /fine_tuning/jobs/:job_id/pause
POST   /fine_tuning/jobs/:job_id/resume
GET    /fine_tuning/jobs/:job_id/events
GET    /fine_tuning/jobs/:job_id/checkpoints
GET    /fine_tuning/checkpoints/:checkpoint/permissions
POST   /fine_tuning/checkpoints/:checkpoint/permissions
DELETE /fine_tuning/checkpoints/:checkpoint/permissions/:permission_id
POST   /fine_tuning/alpha/graders/validate

POST   /vector_stores
GET    /vector_stores
GET    /vector_stores/:vector_store_id
POST   /vector_stores/:vector_store_id
DELETE /vector_stores/:vector_store_id
POST   /vector_stores/:vector_store_id/files
GET    /vector_stores/:vector_store_id/files
GET    /vector_stores/:vector_store_id/files/:file_id
POST   /vector_stores/:vector_store_id/files/:file_id
DELETE /vector_stores/:vector_store_id/files/:file_id
GET    /vector_stores/:vector_store_id/files/:file_id/content
POST   /vector_stores/:vector_store_id/file_batches
GET    /vector_stores/:vector_store_id/file_batches/:batch_id
POST   /vector_stores/:vector_store_id/file_batches/:batch_id/cancel
GET    /vector_stores/:vector_store_id/file_batches/:batch_id/files
`
