// Package samtest checks what CloudFormation would make of template.yaml. A
// template can be valid and lint clean, and still not stream, or leave the admin
// API open: that shows only after the transform.
package samtest
