package ldapmatch

import "strings"

// types are the attribute types whose values are compared here, one a line: the name
// that keys have, then its others and its OID. They are those of RFC 4519 and RFC
// 4524, and of what common schemas add, that compare by caseIgnoreMatch, or by
// caseIgnoreIA5Match, or are numbers, which have one form.
const types = `
cn commonname 2.5.4.3
sn surname 2.5.4.4
serialnumber 2.5.4.5
c countryname 2.5.4.6
l localityname 2.5.4.7
st stateorprovincename 2.5.4.8
street streetaddress 2.5.4.9
o organizationname 2.5.4.10
ou organizationalunitname 2.5.4.11
title 2.5.4.12
description 2.5.4.13
businesscategory 2.5.4.15
postalcode 2.5.4.17
postofficebox 2.5.4.18
physicaldeliveryofficename 2.5.4.19
destinationindicator 2.5.4.27
name 2.5.4.41
givenname gn 2.5.4.42
initials 2.5.4.43
generationqualifier 2.5.4.44
dnqualifier 2.5.4.46
houseidentifier 2.5.4.51
uid userid 0.9.2342.19200300.100.1.1
mail rfc822mailbox 0.9.2342.19200300.100.1.3
info 0.9.2342.19200300.100.1.4
drink favouritedrink 0.9.2342.19200300.100.1.5
roomnumber 0.9.2342.19200300.100.1.6
userclass 0.9.2342.19200300.100.1.8
host 0.9.2342.19200300.100.1.9
documentidentifier 0.9.2342.19200300.100.1.11
documenttitle 0.9.2342.19200300.100.1.12
documentversion 0.9.2342.19200300.100.1.13
documentlocation 0.9.2342.19200300.100.1.15
dc domaincomponent 0.9.2342.19200300.100.1.25
associateddomain 0.9.2342.19200300.100.1.37
personaltitle 0.9.2342.19200300.100.1.40
co friendlycountryname 0.9.2342.19200300.100.1.43
uniqueidentifier 0.9.2342.19200300.100.1.44
organizationalstatus 0.9.2342.19200300.100.1.45
buildingname 0.9.2342.19200300.100.1.48
documentpublisher 0.9.2342.19200300.100.1.56
uidnumber 1.3.6.1.1.1.1.0
gidnumber 1.3.6.1.1.1.1.1
email emailaddress pkcs9email e 1.2.840.113549.1.9.1
departmentnumber 2.16.840.1.113730.3.1.2
employeenumber 2.16.840.1.113730.3.1.3
employeetype 2.16.840.1.113730.3.1.4
displayname 2.16.840.1.113730.3.1.241
samaccountname 1.2.840.113556.1.4.221
`

// attributeTypes are the names in types, by all of them.
var attributeTypes = func() map[string]string {
	all := map[string]string{}
	for line := range strings.Lines(types) {
		names := strings.Fields(line)
		for _, name := range names {
			all[name] = names[0]
		}
	}
	return all
}()

// attributeType is the name that keys have for a type, known if it is one of types; ok
// tells whether s can be one at all.
func attributeType(s string) (name string, known, ok bool) {
	s = strings.TrimPrefix(strings.ToLower(strings.Trim(s, " ")), "oid.") // as RFC 1779 wrote the dotted form
	if short, ok := attributeTypes[s]; ok {
		return short, true, true
	}
	return s, false, s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r != '-' && r != '.' && (r < '0' || r > '9') && (r < 'a' || r > 'z')
	})
}
