// Package archtest holds the rules of who may import whom, as a test that prints
// its reasons.
package archtest
