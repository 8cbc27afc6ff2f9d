package gateway

// Reference is another record that a key refers to. A change to that record is a change
// to the key, which then gets a new version.
type Reference struct {
	To ReferenceKind
	ID string // of a tag its name
}

// ReferenceKind is what a key can refer to. It is part of the stored form.
type ReferenceKind string

// The kinds.
const (
	ToSetting ReferenceKind = "setting"
	ToTag     ReferenceKind = "tag"
	ToPolicy  ReferenceKind = "policy"
)

// References is all that the key refers to, each once: settings first, in order of
// preference.
func (k *Key) References() []Reference {
	var all []Reference
	seen := make(map[Reference]bool)
	add := func(to ReferenceKind, id string) {
		if r := (Reference{to, id}); id != "" && !seen[r] {
			seen[r] = true
			all = append(all, r)
		}
	}
	for _, id := range k.AllSettingIDs() {
		add(ToSetting, id)
	}
	for _, tag := range k.Tags {
		add(ToTag, tag)
	}
	add(ToPolicy, k.PolicyID)
	return all
}
