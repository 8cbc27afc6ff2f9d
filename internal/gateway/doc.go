// Package gateway is the vocabulary of Tollgate: keys, limits, money, windows,
// provider settings, usage, events and errors. It holds nouns and their rules,
// knows no transport and no store, and imports the standard library only.
//
// JSON tags in this package are the form in which the stores keep a record.
// They are not the public API: the admin package has wire types of its own, so
// a new field is not published by accident.
package gateway
