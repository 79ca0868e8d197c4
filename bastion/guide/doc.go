// Package guide makes what a user needs on their own computer: ready client
// files (OpenSSH, PuTTY, WinSCP, MobaXterm, VS Code, a browser), and a personal
// access guide as one HTML page and as plain text. It turns Facts into text and
// does nothing else: no file, no network, no clock. Its output holds no secret.
//
// Names in Facts come from reviewed policy and from the operator. Even so they
// are checked against a narrow alphabet first, and then each format escapes its
// own special characters: a name must never become another setting, another
// section or a script in somebody's client.
//
// Sources of the formats:
//   - OpenSSH: ssh_config(5); known_hosts in sshd(8).
//   - PuTTY 0.78 and later: its manual, chapters 4.15 and 4.19, and what
//     windows/storage.c and settings.c of its source read: ProxyMethod 6 is "SSH
//     to proxy and use port forwarding", SshHostCAs\NAME holds a host CA.
//   - WinSCP: "Raw Session Settings" of its documentation, and the names in
//     core/SessionData.cpp.
//   - MobaXterm: its makers document no format. The field numbers are those of
//     version 23.6 as the community has written them down; the file is marked so.
//   - VS Code: the settings of its Remote - SSH extension.
//   - Proxy auto-configuration: MDN, "Proxy Auto-Configuration (PAC) file".
package guide
