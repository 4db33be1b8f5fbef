# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_bothends_global_optspecs
    string join \n c/config= h/help V/version
end

function __fish_bothends_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_bothends_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_bothends_using_subcommand
    set -l cmd (__fish_bothends_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c bothends -n "__fish_bothends_needs_command" -s c -l config -d 'The configuration file; conf.d/*.toml beside it is read after it' -r -F
complete -c bothends -n "__fish_bothends_needs_command" -s h -l help -d 'Print help'
complete -c bothends -n "__fish_bothends_needs_command" -s V -l version -d 'Print version'
complete -c bothends -n "__fish_bothends_needs_command" -f -a "run" -d 'Run the daemon'
complete -c bothends -n "__fish_bothends_needs_command" -f -a "check" -d 'Validate the configuration and explain it, or list all errors. Offline without --aws'
complete -c bothends -n "__fish_bothends_needs_command" -f -a "reload" -d 'Reload the configuration of the running daemon and wait for the result'
complete -c bothends -n "__fish_bothends_needs_command" -f -a "discover" -d 'Generate a configuration from AWS (DescribeVpnConnections). Needs no configuration'
complete -c bothends -n "__fish_bothends_needs_command" -f -a "drill" -d 'Raise a test incident, marked DRILL, through every sink, show each record as the sink returns it, and resolve it'
complete -c bothends -n "__fish_bothends_needs_command" -f -a "probe" -d 'Probe every tunnel once and print a table'
complete -c bothends -n "__fish_bothends_needs_command" -f -a "report" -d 'Report what happened: availability as both ends agree and as each says, outages, pages'
complete -c bothends -n "__fish_bothends_needs_command" -f -a "silence" -d 'Hold back what opens in a planned time: incidents are recorded, and sent at its end if both ends still say down'
complete -c bothends -n "__fish_bothends_needs_command" -f -a "status" -d 'Show the state of the running daemon, both ends side by side. Exit code: 0 healthy, 1 degraded, 2 down, 3 unknown'
complete -c bothends -n "__fish_bothends_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c bothends -n "__fish_bothends_using_subcommand run" -s c -l config -d 'The configuration file; conf.d/*.toml beside it is read after it' -r -F
complete -c bothends -n "__fish_bothends_using_subcommand run" -s h -l help -d 'Print help'
complete -c bothends -n "__fish_bothends_using_subcommand check" -s c -l config -d 'The configuration file; conf.d/*.toml beside it is read after it' -r -F
complete -c bothends -n "__fish_bothends_using_subcommand check" -l aws -d 'Also test every AWS permission that the configuration needs, without changing anything, and list what is missing'
complete -c bothends -n "__fish_bothends_using_subcommand check" -l to-run -d 'Also run the start-up checks of `run`, as root with the service\'s user, unit and drop-ins: file ownership and modes, ICMP sockets, CA certificates. Listener and store are left alone; a running daemon has them'
complete -c bothends -n "__fish_bothends_using_subcommand check" -l own-credentials -d 'With --aws or --to-run as root: use the user, credentials and environment of this shell, not the service\'s'
complete -c bothends -n "__fish_bothends_using_subcommand check" -s h -l help -d 'Print help'
complete -c bothends -n "__fish_bothends_using_subcommand reload" -s c -l config -d 'The configuration file; conf.d/*.toml beside it is read after it' -r -F
complete -c bothends -n "__fish_bothends_using_subcommand reload" -s h -l help -d 'Print help'
complete -c bothends -n "__fish_bothends_using_subcommand discover" -l tag -d 'All VPN connections with this tag; VALUE may contain the wildcards * and ?' -r
complete -c bothends -n "__fish_bothends_using_subcommand discover" -l region -d 'Their Region; default: AWS_REGION or the profile\'s' -r
complete -c bothends -n "__fish_bothends_using_subcommand discover" -l role-arn -d 'Assume this role for the query, and configure it for the daemon; default: your AWS credentials as they are' -r
complete -c bothends -n "__fish_bothends_using_subcommand discover" -l format -d 'What to print' -r -f -a "toml\t'A configuration with comments'
json\t'The same keys as JSON, for scripts'"
complete -c bothends -n "__fish_bothends_using_subcommand discover" -l write -d 'Write to FILE instead of printing; FILE must not exist' -r -F
complete -c bothends -n "__fish_bothends_using_subcommand discover" -s c -l config -d 'The configuration file; conf.d/*.toml beside it is read after it' -r -F
complete -c bothends -n "__fish_bothends_using_subcommand discover" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bothends -n "__fish_bothends_using_subcommand drill" -l sink -d 'Only this sink, such as incident_manager or sns-2' -r
complete -c bothends -n "__fish_bothends_using_subcommand drill" -l vpn -d 'Use this connection; default: the first that the sink takes' -r
complete -c bothends -n "__fish_bothends_using_subcommand drill" -l kind -d 'Use this kind of incident; default: the first that the sink takes' -r -f -a "outage\t''
redundancy_lost\t''
one_sided\t''
degraded\t''"
complete -c bothends -n "__fish_bothends_using_subcommand drill" -l hold -d 'Keep the test incident open this long so that paging can happen; a real incident ends it. Default: 0, or 60 for a sink whose receiver groups alerts (Alertmanager)' -r
complete -c bothends -n "__fish_bothends_using_subcommand drill" -s c -l config -d 'The configuration file; conf.d/*.toml beside it is read after it' -r -F
complete -c bothends -n "__fish_bothends_using_subcommand drill" -l yes -d 'Skip the confirmation'
complete -c bothends -n "__fish_bothends_using_subcommand drill" -l own-credentials -d 'As root: use the credentials and environment of this shell, not the service\'s'
complete -c bothends -n "__fish_bothends_using_subcommand drill" -s h -l help -d 'Print help'
complete -c bothends -n "__fish_bothends_using_subcommand probe" -l echoes -d 'Echo requests per tunnel' -r
complete -c bothends -n "__fish_bothends_using_subcommand probe" -s c -l config -d 'The configuration file; conf.d/*.toml beside it is read after it' -r -F
complete -c bothends -n "__fish_bothends_using_subcommand probe" -s h -l help -d 'Print help'
complete -c bothends -n "__fish_bothends_using_subcommand report" -l since -d 'From when: 30d, 12h, 2026-11-01, "2026-11-01 04:00" or 2026-11-01T04:00:00Z; default: 30d' -r
complete -c bothends -n "__fish_bothends_using_subcommand report" -l until -d 'Until when, as a date or time; default: now' -r
complete -c bothends -n "__fish_bothends_using_subcommand report" -l month -d 'A calendar month, such as 2026-11' -r
complete -c bothends -n "__fish_bothends_using_subcommand report" -l months -d 'The last N calendar months, this one included, each with a row of its own' -r
complete -c bothends -n "__fish_bothends_using_subcommand report" -l tz -d 'The time zone of months, dates and all times shown, such as Europe/Rome; default: this host\'s' -r
complete -c bothends -n "__fish_bothends_using_subcommand report" -l vpn -d 'Only this connection, by its id or name' -r
complete -c bothends -n "__fish_bothends_using_subcommand report" -l incident -d 'The skeleton of a post-incident analysis of this incident: its id, or the beginning of it' -r
complete -c bothends -n "__fish_bothends_using_subcommand report" -l format -d 'The format' -r -f -a "text\t'For a terminal of 80 columns'
markdown\t'Markdown'
json\t'JSON'
csv\t'CSV: a row of each connection and tunnel, by both ends and by each'
csv-outages\t'CSV: a row of each outage'
html\t'HTML in one file'"
complete -c bothends -n "__fish_bothends_using_subcommand report" -s o -l output -d 'Write to this file, whole or not at all, instead of to standard output' -r -F
complete -c bothends -n "__fish_bothends_using_subcommand report" -l store -d 'Read this store\'s file instead of asking the daemon: a copy, or that of a daemon that is stopped' -r -F
complete -c bothends -n "__fish_bothends_using_subcommand report" -l url -d 'Address of the daemon; default: its control socket, else [http] listen of the configuration, else http://127.0.0.1:9846' -r
complete -c bothends -n "__fish_bothends_using_subcommand report" -l ca -d 'With an https:// URL: the authorities of its certificate (PEM), instead of this host\'s store' -r -F
complete -c bothends -n "__fish_bothends_using_subcommand report" -l token-file -d 'The file with the token that the listener asks for ([http] token_file)' -r -F
complete -c bothends -n "__fish_bothends_using_subcommand report" -s c -l config -d 'The configuration file; conf.d/*.toml beside it is read after it' -r -F
complete -c bothends -n "__fish_bothends_using_subcommand report" -l would-have-paged -d 'Which incidents would have been sent, by the sinks of the configuration: for `[incident] mode = "observe"`'
complete -c bothends -n "__fish_bothends_using_subcommand report" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bothends -n "__fish_bothends_using_subcommand silence; and not __fish_seen_subcommand_from add list end help" -s c -l config -d 'The configuration file; conf.d/*.toml beside it is read after it' -r -F
complete -c bothends -n "__fish_bothends_using_subcommand silence; and not __fish_seen_subcommand_from add list end help" -s h -l help -d 'Print help'
complete -c bothends -n "__fish_bothends_using_subcommand silence; and not __fish_seen_subcommand_from add list end help" -f -a "add" -d 'Add a silence for each target. Only this daemon: the other host of a pair needs its own'
complete -c bothends -n "__fish_bothends_using_subcommand silence; and not __fish_seen_subcommand_from add list end help" -f -a "list" -d 'List the silences that are not over'
complete -c bothends -n "__fish_bothends_using_subcommand silence; and not __fish_seen_subcommand_from add list end help" -f -a "end" -d 'End silences now. What is still down by both ends is sent'
complete -c bothends -n "__fish_bothends_using_subcommand silence; and not __fish_seen_subcommand_from add list end help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c bothends -n "__fish_bothends_using_subcommand silence; and __fish_seen_subcommand_from add" -l vpn -d 'A connection, by its id or name. Each target option may be given several times' -r
complete -c bothends -n "__fish_bothends_using_subcommand silence; and __fish_seen_subcommand_from add" -l tunnel -d 'A tunnel, by its outside address, or by its connection, a slash, and that' -r
complete -c bothends -n "__fish_bothends_using_subcommand silence; and __fish_seen_subcommand_from add" -l group -d 'A group ([[group]]), by its name' -r
complete -c bothends -n "__fish_bothends_using_subcommand silence; and __fish_seen_subcommand_from add" -l uplink -d 'What goes over an uplink ([[uplink]]), by its name' -r
complete -c bothends -n "__fish_bothends_using_subcommand silence; and __fish_seen_subcommand_from add" -l for -d 'How long: 90m, 2h, 1d12h. At most 7 days' -r
complete -c bothends -n "__fish_bothends_using_subcommand silence; and __fish_seen_subcommand_from add" -l until -d 'When it ends: 2026-12-01T04:00:00Z, "2026-12-01 04:00", 2026-12-01 for 00:00 of that day, or 04:00 for the next time that clocks show it' -r
complete -c bothends -n "__fish_bothends_using_subcommand silence; and __fish_seen_subcommand_from add" -l from -d 'When it begins, in the same forms; default: now' -r
complete -c bothends -n "__fish_bothends_using_subcommand silence; and __fish_seen_subcommand_from add" -l tz -d 'The time zone of times without one and of --weekly, such as Europe/Berlin; default: this host\'s' -r
complete -c bothends -n "__fish_bothends_using_subcommand silence; and __fish_seen_subcommand_from add" -l reason -d 'Why: one line, for those who wonder why no page came' -r
complete -c bothends -n "__fish_bothends_using_subcommand silence; and __fish_seen_subcommand_from add" -s c -l config -d 'The configuration file; conf.d/*.toml beside it is read after it' -r -F
complete -c bothends -n "__fish_bothends_using_subcommand silence; and __fish_seen_subcommand_from add" -l site -d 'Everything that this daemon watches'
complete -c bothends -n "__fish_bothends_using_subcommand silence; and __fish_seen_subcommand_from add" -l weekly -d 'It comes back every week, at the same hour of the time zone, until it is ended'
complete -c bothends -n "__fish_bothends_using_subcommand silence; and __fish_seen_subcommand_from add" -l print-mute-rule -d 'Instead of adding it, print the AWS CLI call that mutes the alarms of alarms.yaml for the same time. The daemon is not asked'
complete -c bothends -n "__fish_bothends_using_subcommand silence; and __fish_seen_subcommand_from add" -s h -l help -d 'Print help'
complete -c bothends -n "__fish_bothends_using_subcommand silence; and __fish_seen_subcommand_from list" -s c -l config -d 'The configuration file; conf.d/*.toml beside it is read after it' -r -F
complete -c bothends -n "__fish_bothends_using_subcommand silence; and __fish_seen_subcommand_from list" -l json -d 'As JSON, for scripts'
complete -c bothends -n "__fish_bothends_using_subcommand silence; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c bothends -n "__fish_bothends_using_subcommand silence; and __fish_seen_subcommand_from end" -s c -l config -d 'The configuration file; conf.d/*.toml beside it is read after it' -r -F
complete -c bothends -n "__fish_bothends_using_subcommand silence; and __fish_seen_subcommand_from end" -s h -l help -d 'Print help'
complete -c bothends -n "__fish_bothends_using_subcommand silence; and __fish_seen_subcommand_from help" -f -a "add" -d 'Add a silence for each target. Only this daemon: the other host of a pair needs its own'
complete -c bothends -n "__fish_bothends_using_subcommand silence; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the silences that are not over'
complete -c bothends -n "__fish_bothends_using_subcommand silence; and __fish_seen_subcommand_from help" -f -a "end" -d 'End silences now. What is still down by both ends is sent'
complete -c bothends -n "__fish_bothends_using_subcommand silence; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c bothends -n "__fish_bothends_using_subcommand status" -l vpn -d 'Only this connection, by its id or name; problems of other parts of the daemon do not count' -r
complete -c bothends -n "__fish_bothends_using_subcommand status" -l watch -d 'Show it again every so many seconds until Ctrl-C; into a pipe or file, a line for each change' -r
complete -c bothends -n "__fish_bothends_using_subcommand status" -l fleet -d 'Ask many daemons, a line each, the worst first: their URLs, or @FILE with a URL in each line' -r
complete -c bothends -n "__fish_bothends_using_subcommand status" -l color -d 'When to use colours' -r -f -a "auto\t'On a terminal, unless NO_COLOR is set or TERM is dumb'
always\t'Always, also into a pipe'
never\t'Never'"
complete -c bothends -n "__fish_bothends_using_subcommand status" -l url -d 'Address of the daemon; default: its control socket, else [http] listen of the configuration, else http://127.0.0.1:9846' -r
complete -c bothends -n "__fish_bothends_using_subcommand status" -l ca -d 'With an https:// URL: the authorities of its certificate (PEM), instead of this host\'s store' -r -F
complete -c bothends -n "__fish_bothends_using_subcommand status" -l token-file -d 'The file with the token that the listener asks for ([http] token_file)' -r -F
complete -c bothends -n "__fish_bothends_using_subcommand status" -s c -l config -d 'The configuration file; conf.d/*.toml beside it is read after it' -r -F
complete -c bothends -n "__fish_bothends_using_subcommand status" -l json -d 'As JSON, for scripts; docs/status.schema.json describes it'
complete -c bothends -n "__fish_bothends_using_subcommand status" -l nagios -d 'As a plugin of Nagios, Icinga or Centreon: one line with performance data, then the reasons'
complete -c bothends -n "__fish_bothends_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bothends -n "__fish_bothends_using_subcommand help; and not __fish_seen_subcommand_from run check reload discover drill probe report silence status help" -f -a "run" -d 'Run the daemon'
complete -c bothends -n "__fish_bothends_using_subcommand help; and not __fish_seen_subcommand_from run check reload discover drill probe report silence status help" -f -a "check" -d 'Validate the configuration and explain it, or list all errors. Offline without --aws'
complete -c bothends -n "__fish_bothends_using_subcommand help; and not __fish_seen_subcommand_from run check reload discover drill probe report silence status help" -f -a "reload" -d 'Reload the configuration of the running daemon and wait for the result'
complete -c bothends -n "__fish_bothends_using_subcommand help; and not __fish_seen_subcommand_from run check reload discover drill probe report silence status help" -f -a "discover" -d 'Generate a configuration from AWS (DescribeVpnConnections). Needs no configuration'
complete -c bothends -n "__fish_bothends_using_subcommand help; and not __fish_seen_subcommand_from run check reload discover drill probe report silence status help" -f -a "drill" -d 'Raise a test incident, marked DRILL, through every sink, show each record as the sink returns it, and resolve it'
complete -c bothends -n "__fish_bothends_using_subcommand help; and not __fish_seen_subcommand_from run check reload discover drill probe report silence status help" -f -a "probe" -d 'Probe every tunnel once and print a table'
complete -c bothends -n "__fish_bothends_using_subcommand help; and not __fish_seen_subcommand_from run check reload discover drill probe report silence status help" -f -a "report" -d 'Report what happened: availability as both ends agree and as each says, outages, pages'
complete -c bothends -n "__fish_bothends_using_subcommand help; and not __fish_seen_subcommand_from run check reload discover drill probe report silence status help" -f -a "silence" -d 'Hold back what opens in a planned time: incidents are recorded, and sent at its end if both ends still say down'
complete -c bothends -n "__fish_bothends_using_subcommand help; and not __fish_seen_subcommand_from run check reload discover drill probe report silence status help" -f -a "status" -d 'Show the state of the running daemon, both ends side by side. Exit code: 0 healthy, 1 degraded, 2 down, 3 unknown'
complete -c bothends -n "__fish_bothends_using_subcommand help; and not __fish_seen_subcommand_from run check reload discover drill probe report silence status help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c bothends -n "__fish_bothends_using_subcommand help; and __fish_seen_subcommand_from silence" -f -a "add" -d 'Add a silence for each target. Only this daemon: the other host of a pair needs its own'
complete -c bothends -n "__fish_bothends_using_subcommand help; and __fish_seen_subcommand_from silence" -f -a "list" -d 'List the silences that are not over'
complete -c bothends -n "__fish_bothends_using_subcommand help; and __fish_seen_subcommand_from silence" -f -a "end" -d 'End silences now. What is still down by both ends is sent'
