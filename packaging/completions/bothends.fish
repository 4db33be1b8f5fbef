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

complete -c bothends -n "__fish_bothends_needs_command" -s c -l config -d 'The configuration; conf.d/*.toml beside it is read after it' -r -F
complete -c bothends -n "__fish_bothends_needs_command" -s h -l help -d 'Print help'
complete -c bothends -n "__fish_bothends_needs_command" -s V -l version -d 'Print version'
complete -c bothends -n "__fish_bothends_needs_command" -f -a "run" -d 'Run the daemon'
complete -c bothends -n "__fish_bothends_needs_command" -f -a "check" -d 'Print what the configuration means, or everything that is wrong with it. Asks nobody without --aws'
complete -c bothends -n "__fish_bothends_needs_command" -f -a "reload" -d 'Have the running daemon read its configuration again, and wait until it is in force'
complete -c bothends -n "__fish_bothends_needs_command" -f -a "discover" -d 'Ask AWS about VPN connections and print a configuration for them. Needs none'
complete -c bothends -n "__fish_bothends_needs_command" -f -a "drill" -d 'Raise a test incident, marked DRILL, through every sink, show it as it comes back, and resolve it'
complete -c bothends -n "__fish_bothends_needs_command" -f -a "probe" -d 'Ask every tunnel now, once, and print a table'
complete -c bothends -n "__fish_bothends_needs_command" -f -a "status" -d 'Print what the running daemon knows, both ends side by side'
complete -c bothends -n "__fish_bothends_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c bothends -n "__fish_bothends_using_subcommand run" -s c -l config -d 'The configuration; conf.d/*.toml beside it is read after it' -r -F
complete -c bothends -n "__fish_bothends_using_subcommand run" -s h -l help -d 'Print help'
complete -c bothends -n "__fish_bothends_using_subcommand check" -s c -l config -d 'The configuration; conf.d/*.toml beside it is read after it' -r -F
complete -c bothends -n "__fish_bothends_using_subcommand check" -l aws -d 'Try every permission at AWS that it needs, and print a table and what is missing. Changes nothing there'
complete -c bothends -n "__fish_bothends_using_subcommand check" -l to-run -d 'Judge as `run` does at its start: refuse files in the wrong hands, and a host without ICMP sockets or authorities, too. Listener and store are not tried; a running daemon has them'
complete -c bothends -n "__fish_bothends_using_subcommand check" -s h -l help -d 'Print help'
complete -c bothends -n "__fish_bothends_using_subcommand reload" -s c -l config -d 'The configuration; conf.d/*.toml beside it is read after it' -r -F
complete -c bothends -n "__fish_bothends_using_subcommand reload" -s h -l help -d 'Print help'
complete -c bothends -n "__fish_bothends_using_subcommand discover" -l tag -d 'All VPN connections with this tag; * and ? in VALUE are wildcards of AWS\'s' -r
complete -c bothends -n "__fish_bothends_using_subcommand discover" -l region -d 'Their Region; else AWS_REGION or the profile\'s' -r
complete -c bothends -n "__fish_bothends_using_subcommand discover" -l role-arn -d 'The role to ask with; else the credentials of AWS\'s own chain as they are' -r
complete -c bothends -n "__fish_bothends_using_subcommand discover" -l format -d 'What to print' -r -f -a "toml\t'A commented configuration'
json\t'The same for scripts, in the configuration\'s names'"
complete -c bothends -n "__fish_bothends_using_subcommand discover" -l write -d 'Write it to FILE, which must not exist yet, instead of printing it' -r -F
complete -c bothends -n "__fish_bothends_using_subcommand discover" -s c -l config -d 'The configuration; conf.d/*.toml beside it is read after it' -r -F
complete -c bothends -n "__fish_bothends_using_subcommand discover" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c bothends -n "__fish_bothends_using_subcommand drill" -l sink -d 'Through this sink alone, such as incident_manager or sns-2' -r
complete -c bothends -n "__fish_bothends_using_subcommand drill" -l vpn -d 'As if it were of this connection; else of the first that a sink takes' -r
complete -c bothends -n "__fish_bothends_using_subcommand drill" -l kind -d 'As if it were of this kind; else of the first that a sink takes' -r -f -a "outage\t''
redundancy_lost\t''
one_sided\t''"
complete -c bothends -n "__fish_bothends_using_subcommand drill" -l hold -d 'Keep each drill open for so long, for a telephone to ring; a real incident ends it' -r
complete -c bothends -n "__fish_bothends_using_subcommand drill" -s c -l config -d 'The configuration; conf.d/*.toml beside it is read after it' -r -F
complete -c bothends -n "__fish_bothends_using_subcommand drill" -l yes -d 'Do not ask first'
complete -c bothends -n "__fish_bothends_using_subcommand drill" -s h -l help -d 'Print help'
complete -c bothends -n "__fish_bothends_using_subcommand probe" -l echoes -d 'Echoes per tunnel' -r
complete -c bothends -n "__fish_bothends_using_subcommand probe" -s c -l config -d 'The configuration; conf.d/*.toml beside it is read after it' -r -F
complete -c bothends -n "__fish_bothends_using_subcommand probe" -s h -l help -d 'Print help'
complete -c bothends -n "__fish_bothends_using_subcommand status" -s c -l config -d 'The configuration; conf.d/*.toml beside it is read after it' -r -F
complete -c bothends -n "__fish_bothends_using_subcommand status" -l json -d 'As JSON, for scripts'
complete -c bothends -n "__fish_bothends_using_subcommand status" -s h -l help -d 'Print help'
complete -c bothends -n "__fish_bothends_using_subcommand help; and not __fish_seen_subcommand_from run check reload discover drill probe status help" -f -a "run" -d 'Run the daemon'
complete -c bothends -n "__fish_bothends_using_subcommand help; and not __fish_seen_subcommand_from run check reload discover drill probe status help" -f -a "check" -d 'Print what the configuration means, or everything that is wrong with it. Asks nobody without --aws'
complete -c bothends -n "__fish_bothends_using_subcommand help; and not __fish_seen_subcommand_from run check reload discover drill probe status help" -f -a "reload" -d 'Have the running daemon read its configuration again, and wait until it is in force'
complete -c bothends -n "__fish_bothends_using_subcommand help; and not __fish_seen_subcommand_from run check reload discover drill probe status help" -f -a "discover" -d 'Ask AWS about VPN connections and print a configuration for them. Needs none'
complete -c bothends -n "__fish_bothends_using_subcommand help; and not __fish_seen_subcommand_from run check reload discover drill probe status help" -f -a "drill" -d 'Raise a test incident, marked DRILL, through every sink, show it as it comes back, and resolve it'
complete -c bothends -n "__fish_bothends_using_subcommand help; and not __fish_seen_subcommand_from run check reload discover drill probe status help" -f -a "probe" -d 'Ask every tunnel now, once, and print a table'
complete -c bothends -n "__fish_bothends_using_subcommand help; and not __fish_seen_subcommand_from run check reload discover drill probe status help" -f -a "status" -d 'Print what the running daemon knows, both ends side by side'
complete -c bothends -n "__fish_bothends_using_subcommand help; and not __fish_seen_subcommand_from run check reload discover drill probe status help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
