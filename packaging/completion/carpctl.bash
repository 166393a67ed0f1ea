# bash completion for carpctl and carpd
# -s SOCKET, if that was typed before
_carpctl_socket() {
    local i
    for ((i = 1; i < COMP_CWORD; i++)); do
        case "${COMP_WORDS[i]}" in
            -s | --socket)
                [ "${COMP_WORDS[i + 1]}" = "=" ] && ((i++))
                printf '%s\n' -s "${COMP_WORDS[i + 1]}"
                return
                ;;
        esac
    done
}

_carpctl_groups() {
    local socket
    mapfile -t socket < <(_carpctl_socket)
    # Checks have names, too, but no interface behind them.
    carpctl "${socket[@]}" -j status 2>/dev/null | grep -oE '"name":"[^"]*","interface"|"pool":"[^"]*"' | cut -d '"' -f 4 | sort -u
}

_carpctl() {
    local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD - 1]}" command="" word
    local commands="status peers top explain doctor monitor history state demote drain undrain stop reload upgrade sync config bundle import capture decode"
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        [[ " $commands " == *" $word "* ]] && { command="$word"; break; }
    done
    case "$previous" in
        --from) COMPREPLY=($(compgen -W "keepalived ucarp ifupdown openbsd freebsd config-xml" -- "$current")); return ;;
        -s | --socket | -o | --output | -f | --config) COMPREPLY=($(compgen -f -- "$current")); return ;;
        -i | --interface) COMPREPLY=($(compgen -W "$(ls /sys/class/net)" -- "$current")); return ;;
        -w | --wait | --for | --until | --client | --at | -n | --name | --frames | --owner | -c | --count | --seconds | --self) return ;;
    esac
    local words="-h --help"
    case "$command" in
        "") words="-h --help -V --version -s --socket -j --json --no-pager $commands" ;;
        status | peers | history | undrain) words+=" $(_carpctl_groups)" ;;
        top) words+=" -n --frames" ;;
        doctor) words+=" -f --config --foreign-macs $(_carpctl_groups)" ;;
        explain) words+=" --client --at $(_carpctl_groups)" ;;
        drain) words+=" -w --wait --for --until --persist $(_carpctl_groups)" ;;
        demote) words+=" -g --interface-group -n --name --for --until $(_carpctl_groups)" ;;
        state) [[ "$previous" == state ]] && words+=" $(_carpctl_groups)" || words+=" master backup" ;;
        sync) words+=" status flows resync flush --owner" ;;
        capture) words+=" -c --count -i --interface -o --output --seconds" ;;
        decode) words+=" -f --config -i --interface --self --explain $(compgen -f -- "$current")" ;;
        bundle) words+=" -o --output" ;;
        config) words+=" check show diff $(compgen -f -- "$current")" ;;
        import) words+=" --from -o --output --force $(compgen -f -- "$current")" ;;
    esac
    COMPREPLY=($(compgen -W "$words" -- "$current"))
}

_carpd() {
    case "${COMP_WORDS[COMP_CWORD - 1]}" in
        -f | --config) COMPREPLY=($(compgen -f -- "${COMP_WORDS[COMP_CWORD]}")) ;;
        *)
            COMPREPLY=($(compgen -W "ucarp -f --config -n --check -v --verbose -V --version -h --help" -- "${COMP_WORDS[COMP_CWORD]}"))
            ;;
    esac
}

complete -F _carpctl carpctl
complete -F _carpd carpd
