package transfer

// psftpCommand is what PuTTY's psftp and pscp run where a server has no sftp
// subsystem: the only script among the commands, let through word for word.
const psftpCommand = "test -x /usr/lib/sftp-server && exec /usr/lib/sftp-server\n" +
	"test -x /usr/local/lib/sftp-server && exec /usr/local/lib/sftp-server\n" +
	"exec sftp-server"

// sftpCommand reads sftp-server as sshfs (-o sftp_server=), sftp (-s) and WinSCP
// run it. It takes no options: -d begins elsewhere, -p and -P say what is
// answered, -R, -u, -l and -f are the administrator's, in sshd_config.
func sftpCommand(name word, args []word) (*Program, string) {
	if len(args) > 0 {
		return nil, "run it without options, or use the sftp subsystem"
	}
	return sftpProgram(name.String()), ""
}

// Subsystem is the transfer that a subsystem is, nil for any but sftp.
func Subsystem(name string) *Program {
	if name != "sftp" {
		return nil
	}
	return sftpProgram("")
}

func sftpProgram(line string) *Program {
	return &Program{
		Name: "sftp-server", Needs: []Direction{Download, Upload}, Either: true, line: line,
		decoder: func(may May) Decoder { return NewSFTP(may) },
	}
}
