#compdef carpctl carpd
# zsh completion for carpctl and carpd

_carpctl_groups() {
    local -a groups
    # Checks have names, too, but no interface behind them.
    groups=(${(f)"$(carpctl $carpctl_socket -j status 2>/dev/null | grep -oE '"name":"[^"]*","interface"|"pool":"[^"]*"' |
        cut -d '"' -f 4 | sort -u)"})
    compadd -a groups
}

_carpctl_command() {
    local -a commands
    commands=(
        'status:show all groups, or everything about one'
        'peers:show who of a group'\''s hosts hears whom'
        'top:show groups and rates each second'
        'explain:say why this host is, or is not, MASTER'
        'doctor:find out what is wrong'
        'monitor:show every change as it happens'
        'history:show the last changes'
        'state:make a group MASTER or BACKUP, once'
        'demote:make a group a worse master'
        'drain:hand over what this host is MASTER of, and stay away'
        'undrain:end that'
        'stop:stop carpd in order'
        'reload:make carpd read its configuration again'
        'upgrade:let the installed carpd take over from the running one'
        'sync:state synchronisation'
        'config:check or show a configuration, or what it would change'
        'bundle:gather what a bug report needs, without secrets'
        'import:make a carpd.toml of files of others'
        'capture:write CARP and VRRP to a pcapng file'
        'decode:say what stands in a capture'
    )
    _describe command commands
}

_carpctl_arguments() {
    local ends=('(--until)--for[end it after that]:90s, 30m, 2h or 1d' '(--for)--until[end it then]:04\:00')
    case "$words[1]" in
        status | peers | history | undrain) _arguments '1:group:_carpctl_groups' ;;
        top) _arguments {-n,--frames}'[end after so many]:count' ;;
        doctor)
            _arguments {-f,--config}'[configuration file]:file:_files' '--foreign-macs[do foreign MACs pass, too]' \
                '1:group:_carpctl_groups'
            ;;
        explain) _arguments '(--at)--client[who serves this client]:address' '(--client)--at[why it was so then]:03\:12' '1:group:_carpctl_groups' ;;
        state) _arguments '1:group:_carpctl_groups' '2:state:(master backup)' ;;
        drain) _arguments {-w,--wait}'[for so long at most]:seconds' '--persist[also over restarts]' $ends '1:group:_carpctl_groups' ;;
        demote)
            _arguments {-g,--interface-group}'[an interface group]' {-n,--name}'[what it is called]:name' $ends \
                '1:group:_carpctl_groups' '2:amount'
            ;;
        bundle) _arguments {-o,--output}'[write it there]:file:_files' ;;
        config) _arguments '1:command:(check show diff)' '2:file:_files' ;;
        import)
            _arguments '--from[their kind]:kind:(keepalived ucarp ifupdown openbsd freebsd config-xml)' \
                {-o,--output}'[write it there]:file:_files' '--force[overwrite that file]' '*:file:_files'
            ;;
        capture)
            _arguments {-c,--count}'[end after so many packets]:number' '*'{-i,--interface}'[only there]:interface:_net_interfaces' \
                {-o,--output}'[write it there]:file:_files' '--seconds[end after so long]:seconds'
            ;;
        decode)
            _arguments {-f,--config}'[configuration with the keys]:file:_files' \
                {-i,--interface}'[captured on it]:interface:_net_interfaces' '*--self[this host sends from there]:address' \
                '--explain[why nothing changes, too]' '*:file:_files'
            ;;
        sync) _arguments '--owner[only of this host]:name' '1:command:(status flows resync flush)' ;;
    esac
}

if [[ "$service" == carpd ]]; then
    _arguments {-f,--config}'[configuration file]:file:_files' {-n,--check}'[only check it]' \
        {-v,--verbose}'[log what is normal, too]' {-V,--version}'[version]' {-h,--help}'[help]' '1:command:(ucarp)'
else
    # -s SOCKET, if that was typed before; what is called below asks there.
    local -a carpctl_socket
    local at=${words[(I)(-s|--socket)]}
    (( at > 0 && at + 1 < CURRENT )) && carpctl_socket=(-s "${(Q)words[at + 1]}")
    carpctl_socket+=(${(M)words:#--socket=*})
    _arguments -C {-s,--socket}'[control socket]:file:_files' {-j,--json}'[JSON, for programs]' \
        '--no-pager[print what does not fit, too]' \
        {-V,--version}'[version]' {-h,--help}'[help]' '1:command:_carpctl_command' '*::argument:_carpctl_arguments'
fi
