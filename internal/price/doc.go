// Package price says what a call may cost before it is made, and what it did
// cost afterwards.
//
// Prices live in one JSON table (prices.json, format in format.go) that is
// embedded in the program and can be replaced at run time by Parse. All
// arithmetic is in integers: a price is nano-dollars per million units,
// products are 128 bits wide, multipliers are fractions, and one division at
// the very end rounds up. Amounts that do not fit saturate instead of
// overflowing, so a hostile count can only make a call look dearer.
//
// A class without a price is unknown, which is not the same as free: Cost and
// Unpriced name such classes, and the caller decides.
package price
