package transfer

import "testing"

// What shells, sshd and git start from is known by whatever path and way it is written.
func TestStartFiles(t *testing.T) {
	for _, tt := range []struct {
		operation, path, to, home, want string
	}{
		{"put", ".bashrc", "", "", ".bashrc"}, {"put", "/home/ada/.bashrc", "", "", ".bashrc"}, {"put", "~/.profile", "", "", ".profile"}, {"put", "~ada/.zshenv", "", "", ".zshenv"},
		{"put", "./x/..//.BASHRC", "", "", ".bashrc"}, {"put", "/srv/ada/.ssh/./rc", "", "/srv/ada", ".ssh/rc"}, {"put", ".ssh/authorized_keys", "", "", "authorized_keys"},
		{"put", ".config/fish/conf.d/ada.fish", "", "", ".config/fish"}, {"put", "x.git/hooks/post-receive", "", "", "hooks/post-receive"}, {"put", "/data/x/.git/hooks/pre-commit", "", "", "hooks/pre-commit"},
		{"put", "bin/scp", "", "", "bin"}, {"put", "/home/ada/bin/scp", "", "", "bin"}, {"put", "/srv/h/bin/scp", "", "/srv/h", "bin"}, {"put", "~/bin/scp", "", "", "bin"}, {"put", ".local/bin/scp", "", "", ".local/bin"},
		{"put", "place", ".bashrc", "", ".bashrc"}, // scp's, where it isn't known whether the place is a folder
		{"put", "/etc/profile.d/x.sh", "", "", "etc/profile.d"},
		{"rename", "x", "/home/ada/.bashrc", "", ".bashrc"}, {"posix-rename", "x", ".zshrc", "", ".zshrc"}, {"rename", "x", "/home/ada/.ssh", "", "a folder .ssh"}, {"rename", "x", "bin", "", "a folder bin"},
		{"symlink", ".bashrc", "/tmp/x", "", ".bashrc"}, {"symlink", "/tmp/x", "/home/ada/.bashrc", "", ".bashrc"}, {"symlink", "x", ".ssh", "", "a folder .ssh"}, {"symlink", ".config/x", "fish/config.fish", "", ".config/fish"},
		{"hardlink", "x", ".bashrc", "", ".bashrc"}, {"hardlink", ".bashrc", "x", "", ".bashrc"}, {"copy-data", "x", ".bashrc", "", ".bashrc"},

		{"put", "data.csv", "", "", ""}, {"put", "bashrc", "", "", ""}, {"put", "x.bashrc", "", "", ""}, {"put", ".bashrc.csv", "", "", ""}, {"put", "/data/bin/x", "", "/home/ada", ""}, {"put", "hooks/readme", "", "", ""},
		{"get", ".bashrc", "", "", ""}, {"rename", ".bashrc", "x", "", ""}, {"mkdir", ".ssh", "", "", ""}, {"setstat", ".bashrc", "", "", ""}, {"remove", ".bashrc", "", "", ""},
	} {
		e := Entry{Operation: tt.operation, Path: tt.path, To: tt.to, Outcome: OK}
		if got := e.StartFile(tt.home); got != tt.want {
			t.Errorf("%s %q %q, home %q: %q, want %q", tt.operation, tt.path, tt.to, tt.home, got, tt.want)
		}
		e.Outcome = Refused
		if got := e.StartFile(tt.home); got != "" {
			t.Errorf("%s %q, refused: %q", tt.operation, tt.path, got)
		}
	}
}
