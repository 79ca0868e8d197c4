// Package configs loads entry.yaml, the server's configuration, and holds the
// example files that operators start from.
//
// [Load] takes defaults, decodes strictly (an unknown key is an error) and
// checks everything that can be checked without touching anything else, all in
// one pass: it reports every problem with file, line, column and the line
// itself. It reads the one file and nothing more. A loaded [Config] is valid
// and is to be treated as read-only; a reload makes a new one.
//
// What takes a part of the configuration takes the struct as it is ([Login],
// [Limits], [Realm], [SMS], …): defaults stand in [Default] and nowhere else, and
// zero means what it means in the file.
//
// It isn't the place for what the files that entry.yaml names contain: keys
// are judged by those who use them, the policy by package policy. [ReadFile] and
// [ReadSecret] only see to their size and mode.
//
// entry.yaml in this folder documents every field with its unit and default.
// `entry init` writes that same text, so the example can't drift from what
// people run.
package configs
