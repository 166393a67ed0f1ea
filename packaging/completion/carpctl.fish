# fish completion for carpctl and carpd
function __carpctl_socket # -s SOCKET, if that was typed before
    set -l words (commandline -opc)
    for i in (seq 2 (count $words))
        switch $words[$i]
            case -s --socket
                printf '%s\n' -s $words[(math $i + 1)]
            case '--socket=*'
                printf '%s\n' $words[$i]
        end
    end
end

function __carpctl_groups
    # Checks have names, too, but no interface behind them.
    carpctl (__carpctl_socket) -j status 2>/dev/null | grep -oE '"name":"[^"]*","interface"|"pool":"[^"]*"' | cut -d '"' -f 4 | sort -u
end

complete -c carpctl -f
complete -c carpctl -s s -l socket -r -F -d 'control socket'
complete -c carpctl -s j -l json -d 'JSON, for programs'
complete -c carpctl -l no-pager -d 'print what does not fit, too'
complete -c carpctl -s V -l version -d 'version'
complete -c carpctl -s h -l help -d 'help'
set -l commands status peers top explain doctor monitor history state demote drain undrain stop reload upgrade sync config bundle import capture decode
set -l none "not __fish_seen_subcommand_from $commands"
complete -c carpctl -n $none -a status -d 'Show all groups, or everything about one'
complete -c carpctl -n $none -a peers -d 'Show who of a group\'s hosts hears whom'
complete -c carpctl -n $none -a top -d 'Show groups and rates each second'
complete -c carpctl -n $none -a explain -d 'Say why this host is, or is not, MASTER'
complete -c carpctl -n $none -a doctor -d 'Find out what is wrong'
complete -c carpctl -n $none -a monitor -d 'Show every change as it happens'
complete -c carpctl -n $none -a history -d 'Show the last changes'
complete -c carpctl -n $none -a state -d 'Make a group MASTER or BACKUP, once'
complete -c carpctl -n $none -a demote -d 'Make a group a worse master'
complete -c carpctl -n $none -a drain -d 'Hand over what this host is MASTER of, and stay away'
complete -c carpctl -n $none -a undrain -d 'End that'
complete -c carpctl -n $none -a stop -d 'Stop carpd in order'
complete -c carpctl -n $none -a reload -d 'Make carpd read its configuration again'
complete -c carpctl -n $none -a upgrade -d 'Let the installed carpd take over from the running one'
complete -c carpctl -n $none -a sync -d 'State synchronisation'
complete -c carpctl -n $none -a config -d 'Check or show a configuration, or what it would change'
complete -c carpctl -n $none -a bundle -d 'Gather what a bug report needs'
complete -c carpctl -n $none -a import -d 'Make a carpd.toml of files of others'
complete -c carpctl -n $none -a capture -d 'Write CARP and VRRP to a pcapng file'
complete -c carpctl -n $none -a decode -d 'Say what stands in a capture'
complete -c carpctl -n '__fish_seen_subcommand_from import decode' -F
complete -c carpctl -n '__fish_seen_subcommand_from config' -F -a 'check show diff'
complete -c carpctl -n '__fish_seen_subcommand_from import' -l from -x -a 'keepalived ucarp ifupdown openbsd freebsd config-xml' -d 'their kind'
complete -c carpctl -n '__fish_seen_subcommand_from import capture bundle' -s o -l output -r -F -d 'write it there'
complete -c carpctl -n '__fish_seen_subcommand_from capture decode' -s i -l interface -x -a '(command ls /sys/class/net)' -d 'of this interface'
complete -c carpctl -n '__fish_seen_subcommand_from capture' -s c -l count -x -d 'end after so many packets'
complete -c carpctl -n '__fish_seen_subcommand_from capture' -l seconds -x -d 'end after so long'
complete -c carpctl -n '__fish_seen_subcommand_from decode' -s f -l config -r -F -d 'configuration with the keys'
complete -c carpctl -n '__fish_seen_subcommand_from decode' -l self -x -d 'this host sends from there'
complete -c carpctl -n '__fish_seen_subcommand_from decode' -l explain -d 'why nothing changes, too'
complete -c carpctl -n '__fish_seen_subcommand_from import' -l force -d 'overwrite that file'
complete -c carpctl -n '__fish_seen_subcommand_from status peers explain doctor history state demote drain undrain' -a '(__carpctl_groups)'
complete -c carpctl -n '__fish_seen_subcommand_from state' -a 'master backup'
complete -c carpctl -n '__fish_seen_subcommand_from doctor' -s f -l config -r -F -d 'configuration file'
complete -c carpctl -n '__fish_seen_subcommand_from doctor' -l foreign-macs -d 'do foreign MACs pass, too'
complete -c carpctl -n '__fish_seen_subcommand_from explain' -l client -r -d 'who serves this client'
complete -c carpctl -n '__fish_seen_subcommand_from explain' -l at -r -d 'why it was so then'
complete -c carpctl -n '__fish_seen_subcommand_from drain' -s w -l wait -r -d 'for so many seconds at most'
complete -c carpctl -n '__fish_seen_subcommand_from top' -s n -l frames -r -d 'end after so many'
complete -c carpctl -n '__fish_seen_subcommand_from drain' -l persist -d 'also over restarts'
complete -c carpctl -n '__fish_seen_subcommand_from drain demote' -l for -r -d 'end it after that'
complete -c carpctl -n '__fish_seen_subcommand_from drain demote' -l until -r -d 'end it then'
complete -c carpctl -n '__fish_seen_subcommand_from demote' -s g -l interface-group -d 'an interface group'
complete -c carpctl -n '__fish_seen_subcommand_from demote' -s n -l name -r -d 'what it is called'
complete -c carpctl -n '__fish_seen_subcommand_from sync' -a 'status flows resync flush'
complete -c carpctl -n '__fish_seen_subcommand_from sync' -l owner -r -d 'only of this host'

complete -c carpd -f
complete -c carpd -a ucarp -d 'take the place of ucarp'
complete -c carpd -s f -l config -r -F -d 'configuration file'
complete -c carpd -s n -l check -d 'only check it'
complete -c carpd -s v -l verbose -d 'log what is normal, too'
complete -c carpd -s V -l version -d 'version'
complete -c carpd -s h -l help -d 'help'
