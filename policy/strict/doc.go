// Package strict reads YAML that people keep under review: a file says one
// thing, in one way, or it is refused with its place.
//
// [Read] takes a [File] apart and gives its [Value]s: UTF-8 text that looks to a
// reviewer as it does to the parser, one document, no anchors, aliases, merge
// keys or tags, no key twice. A Value's readers decode it as text, a number, a
// duration, a size, a network, a list, a mapping with a closed set of keys, and
// report whatever doesn't fit in the [Document] at its line and column; they go
// on with a harmless value, so that one pass finds every problem. Whoever reads
// a file reports what it means with [Value.Errorf] and codes of their own.
//
// Every [Problem] prints as "file:line:col: message [CODE]" with the line and a
// caret below it. Nothing in it can steer a terminal, whatever the file holds.
// What is read and kept is bounded: bytes, nesting, problems.
//
// It isn't for YAML that machines exchange: it is slow, refuses much of the
// format, and there is no decoding into structs, which has no places.
//
// Sources: YAML 1.2.2; CVE-2021-42574 for text that reads otherwise than it
// looks.
package strict
