// Package configs loads entry.yaml, the server's configuration, and holds the
// example files that operators start from.
//
// [Load] takes defaults, decodes strictly (an unknown key is an error) and
// checks everything that can be checked without touching anything else, all in
// one pass: it reports every problem with file, line, column and the line
// itself. It reads the one file and nothing more. A loaded [Config] is valid
// and is to be treated as read-only; a reload makes a new one.
//
// It isn't the place for what the files that entry.yaml names contain: keys
// are judged by those who use them, the policy by package policy.
//
// entry.yaml in this folder documents every field with its unit and default.
// `entry init` writes that same text, so the example can't drift from what
// people run.
package configs
