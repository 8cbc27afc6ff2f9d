package provider

// notText are members whose strings are words of the APIs, ids, or sealed by a
// provider. To mask a part of one would break the call and protect nothing.
var notText = set(
	"model", "models", "fallbacks", "role", "type", "id", "object", "status", "$schema", "$ref", "required",

	// Ids, the caller's own included: limits go by them, models do not see them.
	"user", "user_id", "safety_identifier", "prompt_cache_key", "tool_call_id", "tool_use_id", "toolUseId", "call_id",
	"item_id", "response_id", "previous_response_id", "conversation", "file_id", "file_ids", "assistant_id", "thread_id",
	"vector_store_id", "vector_store_ids", "container", "container_id", "cachedContent", "input_file_id", "training_file",
	"validation_file",

	// Choices.
	"size", "quality", "style", "background", "format", "output_format", "response_format", "encoding_format",
	"stream_format", "voice", "service_tier", "anthropic_version", "anthropic_beta", "detail", "media_type", "mimeType",
	"mime_type", "responseMimeType", "truncation", "effort", "reasoning_effort", "verbosity", "modalities",
	"responseModalities", "include", "finish_reason", "stop_reason", "stopReason", "purpose", "endpoint",
	"completion_window", "prompt_cache_retention", "tool_choice", "ttl", "timestamp_granularities", "order", "category",
	"threshold", "taskType",

	// Sealed by the provider that made them.
	"signature", "encrypted_content", "thoughtSignature", "thought_signature",
)

// anything are members whose objects hold whatever the caller or the model has put
// there.
var anything = set("input", "args", "arguments", "response", "json", "metadata", "variables")

// sensoryMembers are members that hold a picture, sound or video, or a part of one.
var sensoryMembers = set("image", "images", "image_url", "audio", "input_audio", "video", "video_url",
	"inputImage", "maskImage", "mask", "b64_json", "partial_image_b64", "result")

// imageMembers are those of them that may hold the data themselves.
var imageMembers = set("image", "images", "inputImage", "maskImage", "mask", "b64_json", "partial_image_b64", "result")

// tokenMembers are members that take numbers for tokens.
var tokenMembers = set("input", "prompt")
