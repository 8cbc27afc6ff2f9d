package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"

	"github.com/openai/openai-go/v3"
)

func (s *goSDK) files(ctx context.Context) error {
	content := blob("file of the Go SDK")
	f, err := s.open.Files.New(ctx, openai.FileNewParams{
		File: openai.File(bytes.NewReader(content), "näme \"1\".bin", "application/octet-stream"), Purpose: openai.FilePurposeUserData,
	})
	if err != nil {
		return err
	}
	known, err := s.open.Files.Get(ctx, f.ID)
	if err != nil {
		return err
	}
	list, err := s.open.Files.List(ctx, openai.FileListParams{Purpose: openai.String("user_data")})
	if err != nil {
		return err
	}
	listed := slices.ContainsFunc(list.Data, func(o openai.FileObject) bool { return o.ID == f.ID })
	res, err := s.open.Files.Content(ctx, f.ID)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	back, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	gone, err := s.open.Files.Delete(ctx, f.ID)
	if err != nil {
		return err
	}
	return errors.Join(
		want("name", known.Filename, "näme \"1\".bin"), want("bytes", known.Bytes, int64(len(content))),
		want("listed", listed, true), want("same content", bytes.Equal(back, content), true),
		want("deleted", gone.Deleted, true))
}

func (s *goSDK) speech(ctx context.Context) error {
	res, err := s.open.Audio.Speech.New(ctx, openai.AudioSpeechNewParams{
		Model: "tts-1", Input: "Hello.",
		Voice: openai.AudioSpeechNewParamsVoiceUnion{OfString: openai.String("alloy")},
	})
	if err != nil {
		return err
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	return errors.Join(err,
		want("same audio", bytes.Equal(got, voice), true),
		want("content type", res.Header.Get("Content-Type"), "audio/mpeg"))
}

func (s *goSDK) transcription(ctx context.Context) error {
	r, err := s.open.Audio.Transcriptions.New(ctx, openai.AudioTranscriptionNewParams{
		Model: "gpt-transcribe", File: openai.File(bytes.NewReader(voice), "voice.mp3", "audio/mpeg"),
	})
	if err != nil {
		return err
	}
	return want("text", r.Text, greeting)
}

func (s *goSDK) images(ctx context.Context) error {
	r, err := s.open.Images.Generate(ctx, openai.ImageGenerateParams{Model: "gpt-image-2", Prompt: "a toll gate"})
	if err != nil {
		return err
	}
	return samePicture(r)
}

func (s *goSDK) imageEdit(ctx context.Context) error {
	r, err := s.open.Images.Edit(ctx, openai.ImageEditParams{
		Model: "gpt-image-2", Prompt: "at night",
		Image: openai.ImageEditParamsImageUnion{OfFile: openai.File(bytes.NewReader(picture), "gate.png", "image/png")},
	})
	if err != nil {
		return err
	}
	return samePicture(r)
}

func samePicture(r *openai.ImagesResponse) error {
	var got []byte
	if err := json.Unmarshal([]byte(`"`+r.Data[0].B64JSON+`"`), &got); err != nil {
		return err
	}
	return want("same picture", bytes.Equal(got, picture), true)
}

func (s *goSDK) listModels(ctx context.Context) error {
	list, err := s.open.Models.List(ctx)
	if err != nil {
		return err
	}
	return want("models", len(list.Data), 2)
}
