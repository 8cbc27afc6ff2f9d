// Probe is a function that shows what it was given and misbehaves on request.
package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"

	"tollgate/internal/afterwork"
	"tollgate/internal/lambdahttp"
)

func main() {
	switch os.Getenv("PROBE") {
	case "broken":
		log.Fatal("cannot start")
	case "buffered", "wrong-format":
		lambda.Start(buffered)
	default:
		lambda.StartWithOptions(lambdahttp.Stream(routes(), lambdahttp.Options{}), lambda.WithEnableSIGTERM())
	}
}

// buffered answers with the caller's ARN and two bytes that are not UTF-8.
func buffered(_ context.Context, e events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error) {
	switch e.Path {
	case "/fail":
		return events.APIGatewayProxyResponse{}, errors.New("failed as asked")
	case "/hang":
		time.Sleep(time.Minute)
	}
	body := append([]byte(e.RequestContext.Identity.UserArn+"|"+e.Headers["Authorization"]+"|"+e.Body), 0xff, 0xfe)
	return events.APIGatewayProxyResponse{
		StatusCode:        http.StatusTeapot,
		MultiValueHeaders: map[string][]string{"X-Two": {"a", "b"}},
		Body:              base64.StdEncoding.EncodeToString(body),
		IsBase64Encoded:   true,
	}, nil
}

func routes() http.Handler {
	var settled atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("/echo/", echo)
	mux.HandleFunc("/sse", sse)
	mux.HandleFunc("/panic", func(http.ResponseWriter, *http.Request) { panic("as asked") })
	mux.HandleFunc("/cut", func(w http.ResponseWriter, r *http.Request) {
		afterwork.Do(r.Context(), func(context.Context) { settled.Add(1) })
		io.WriteString(w, "begun")
		panic("as asked")
	})
	mux.HandleFunc("/after", func(w http.ResponseWriter, r *http.Request) {
		afterwork.Do(r.Context(), func(ctx context.Context) {
			time.Sleep(duration(r))
			settled.Add(1)
		})
		io.WriteString(w, "delivered")
	})
	mux.HandleFunc("/settled", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, settled.Load()) })
	mux.HandleFunc("/sleep", func(w http.ResponseWriter, r *http.Request) { time.Sleep(duration(r)) })
	mux.HandleFunc("/exit", func(http.ResponseWriter, *http.Request) { os.Exit(3) })
	mux.HandleFunc("/cut-exit", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "begun")
		http.NewResponseController(w).Flush()
		time.Sleep(50 * time.Millisecond)
		os.Exit(3)
	})
	mux.HandleFunc("/left", func(w http.ResponseWriter, r *http.Request) {
		deadline, _ := r.Context().Deadline()
		fmt.Fprint(w, int(time.Until(deadline).Round(time.Second).Seconds()))
	})
	return mux
}

func duration(r *http.Request) time.Duration {
	d, _ := time.ParseDuration(r.FormValue("for"))
	return d
}

func echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("Content-Type", "application/json")
	w.Header()["X-Two"] = []string{"a", "b"}
	w.Header().Set("Www-Authenticate", "Bearer")
	http.SetCookie(w, &http.Cookie{Name: "a", Value: "1"})
	http.SetCookie(w, &http.Cookie{Name: "b", Value: "2"})
	w.WriteHeader(http.StatusCreated)
	json.NewEncoder(w).Encode(map[string]any{
		"method": r.Method, "uri": r.RequestURI, "host": r.Host, "query": r.URL.Query(),
		"header": r.Header, "body": body, "length": r.ContentLength,
	})
}

func sse(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	for i := range 10 {
		fmt.Fprintf(w, "data: %d %d\n\n", i, time.Now().UnixMicro())
		http.NewResponseController(w).Flush()
		time.Sleep(duration(r))
	}
}
