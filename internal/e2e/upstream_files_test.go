package e2e

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"
)

// upload is a file that was sent to the upstream.
type upload struct {
	name, purpose string
	content       []byte
}

func (u *upstream) createFile(w http.ResponseWriter, r *http.Request) {
	name, content, ok := formFile(w, r, "file")
	if !ok {
		return
	}
	u.mu.Lock()
	id := fmt.Sprintf("file-%d-%d", len(u.files)+1, time.Now().UnixNano())
	u.files[id] = upload{name, r.FormValue("purpose"), content}
	u.mu.Unlock()
	reply(w, u.describe(id))
}

// formFile reads one file of a form.
func formFile(w http.ResponseWriter, r *http.Request, field string) (name string, content []byte, ok bool) {
	file, header, err := r.FormFile(field)
	if err == nil {
		defer file.Close()
		content, err = io.ReadAll(file)
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, "form: "+err.Error())
		return "", nil, false
	}
	return header.Filename, content, true
}

func (u *upstream) describe(id string) map[string]any {
	u.mu.Lock()
	defer u.mu.Unlock()
	f := u.files[id]
	return map[string]any{
		"id": id, "object": "file", "bytes": len(f.content), "created_at": 1790000000,
		"filename": f.name, "purpose": f.purpose, "status": "processed",
	}
}

// known reports whether there is such a file, and answers if not.
func (u *upstream) known(w http.ResponseWriter, r *http.Request) (id string, ok bool) {
	id = r.PathValue("id")
	u.mu.Lock()
	_, ok = u.files[id]
	u.mu.Unlock()
	if !ok {
		refuse(w, http.StatusNotFound, "No such File object: "+id)
	}
	return id, ok
}

func (u *upstream) file(w http.ResponseWriter, r *http.Request) {
	if id, ok := u.known(w, r); ok {
		reply(w, u.describe(id))
	}
}

func (u *upstream) listFiles(w http.ResponseWriter, r *http.Request) {
	u.mu.Lock()
	var ids []string
	for id, f := range u.files {
		if purpose := r.URL.Query().Get("purpose"); purpose == "" || purpose == f.purpose {
			ids = append(ids, id)
		}
	}
	u.mu.Unlock()
	slices.Sort(ids)
	list := make([]any, len(ids))
	for i, id := range ids {
		list[i] = u.describe(id)
	}
	reply(w, map[string]any{"object": "list", "data": list, "has_more": false})
}

func (u *upstream) fileContent(w http.ResponseWriter, r *http.Request) {
	if id, ok := u.known(w, r); ok {
		u.mu.Lock()
		defer u.mu.Unlock()
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Write(u.files[id].content)
	}
}

func (u *upstream) deleteFile(w http.ResponseWriter, r *http.Request) {
	if id, ok := u.known(w, r); ok {
		u.mu.Lock()
		delete(u.files, id)
		u.mu.Unlock()
		reply(w, map[string]any{"id": id, "object": "file", "deleted": true})
	}
}
