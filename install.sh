#!/bin/sh
# Installs Klipper Router into a Klipper or Kalico tree, and takes it out again
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
#
# Runs under dash and BusyBox ash. Everything is checked before anything is
# changed. The tests set ROUTER_INSTALL_ROOT: where /proc, /etc and /run are.
set -eu
export LC_ALL=C
unset CDPATH GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE

HERE=$(cd "$(dirname -- "$0")" && pwd -P)
SOURCE=$HERE/klippy_extras/router
HOME=${HOME:-/root}
SYSROOT=${ROUTER_INSTALL_ROOT:-}
BEGIN="# Klipper Router, added by install.sh"
END="# end of Klipper Router"
TAB=$(printf '\t')
NEWLINE='
'

usage() {
    cat <<USAGE
Usage: install.sh [--uninstall | --status | --doctor | --help] [options]

Links Klipper Router into the extras of Klipper, and prints the sections for
printer.cfg. Nothing is restarted, and no config is changed, unless asked for.

  -k PATH                  the folder of Klipper or Kalico (default:
                           \$KLIPPER_PATH, ~/klipper, then the running one)
  --host NAME              the instance that gets [router]: a name that --status shows,
                           or the folder, such as printer_data (the default)
  --write-config FILE      write the sections to a new file
  --update-manager [FILE]  add Klipper Router to this moonraker.conf
                           (default: that of the host instance)
  --restart                then restart Klipper, unless a print is running
  --allow-root             as root, also work on files of an ordinary user
  --dry-run                only say what would be done
  --uninstall              remove what install.sh has added
  --status                 say what is installed where, and which version
  --doctor                 check everything and say what to do; changes nothing
USAGE
}

note() { echo "Note: $*" >&2; }
one_line() { echo "$1" | tr '\n' ' ' | sed 's/ $//'; }
user() { id -un 2>/dev/null || id -u; }

die() {
    echo "install.sh: $*" >&2
    exit 1
}

# Says what is done and does it; with --dry-run it only says it.
act() { # WHAT COMMAND...
    what=$1
    shift
    changed=yes
    if [ "$dry_run" = yes ]; then
        echo "Would $what"
    else
        error=$("$@" 2>&1 </dev/null) || die "could not $what: $(one_line "$error")"
        echo "Done: $what"
    fi
}

# ---- Finding Klipper --------------------------------------------------------

is_klipper_tree() { [ -f "$1/klippy/klippy.py" ] && [ -d "$1/klippy/extras" ]; }

# The words of a command, one per line, to where Klippy is, its API socket and
# its config, by tabs, with - for what it does not have. -u is a vendor's.
klippy_command() {
    awk -v tab="$TAB" '
        !source {
            if (previous == "-m" && /^klippy/ || /\/kalico$/) source = "package"
            if (/(^|\/)klippy\.py$/) source = $0
            previous = $0
            next
        }
        wanted == "-a" { socket = $0 }
        wanted { wanted = ""; next }
        /^(-i|--debuginput)/ { batch = 1 }
        /^-[aIlodu]$/ { wanted = $0; next }
        /^--api-server$/ { wanted = "-a"; next }
        /^--(input-tty|logfile|debugoutput|dictionary|api-server-(user|group|file-mode))$/ {
            wanted = "other"
            next
        }
        sub(/^(-a|--api-server=)/, "") { socket = $0; next }
        !/^-/ && !config { config = $0 }
        END {
            if (!source || batch) exit
            print source tab (socket ? socket : "-") tab (config ? config : "-")
        }'
}

absolute() { # FOLDER PATH
    case $2 in - | /*) echo "$2" ;; *) echo "$1/$2" ;; esac
}

# One line for each running Klippy: tree (- where it cannot be known),
# interpreter, API socket, config, process.
running_klippys() {
    for process in "$SYSROOT"/proc/[0-9]*; do
        arguments=$(2>/dev/null <"$process/cmdline" tr '\0' '\n') || continue
        case $arguments in *klippy* | *kalico*) ;; *) continue ;; esac
        python=${arguments%%"$NEWLINE"*}
        case $python in *python*) ;; *) continue ;; esac
        IFS=$TAB read -r source socket config <<COMMAND
$(printf '%s\n' "$arguments" | klippy_command)
COMMAND
        [ -n "$source" ] || continue
        folder=$(cd -P "$process/cwd" 2>/dev/null && pwd -P) || folder=/
        tree=$(
            cd "$folder" && if [ "$source" = package ]; then
                source=$("$python" -c 'import klippy; print(klippy.__path__[0] + "/.")')
            fi && cd "$(dirname -- "$source")/.." && pwd -P
        ) 2>/dev/null || tree=-
        socket=$(absolute "$folder" "$socket") config=$(absolute "$folder" "$config")
        # Its paths may be those of a container
        [ "$tree" != - ] || [ -f "$config" ] || continue
        echo "$tree$TAB$python$TAB$socket$TAB$config$TAB${process##*/}"
    done
}

running_trees() { echo "$RUNNING" | cut -f 1 | grep -vx -e - | sort -u; }

find_tree() {
    TREE=${tree_option:-${KLIPPER_PATH:-}}
    if [ -z "$TREE" ]; then
        if is_klipper_tree "$HOME/klipper"; then TREE=$HOME/klipper; else TREE=$(running_trees); fi
        case $TREE in
        '') die "found no Klipper in ~/klipper and none running: give its folder with -k PATH" ;;
        *"$NEWLINE"*) die "several Klippers run here, choose one: -k $(one_line "$TREE")" ;;
        esac
    fi
    [ -e "$TREE" ] || die "there is no $TREE: give the folder of Klipper with -k PATH"
    is_klipper_tree "$TREE" || die "$TREE is not a Klipper tree (no klippy/klippy.py and" \
        "klippy/extras in it): give the folder of Klipper with -k PATH"
    TREE=$(cd "$TREE" && pwd -P)
}

# Kalico has a folder of its own for extras, and refuses a name that is in both.
find_place() {
    KIND=Klipper PLACE=$TREE/klippy/extras/router OTHER=$TREE/klippy/plugins/router
    if [ -d "$TREE/klippy/plugins" ] && ! is_left_by_kalico; then
        KIND=Kalico OTHER=$PLACE PLACE=$TREE/klippy/plugins/router
    fi
}

# A checkout that went back to Klipper keeps of plugins what git did not know.
is_left_by_kalico() {
    for entry in "$TREE"/klippy/plugins/*; do
        case $entry in */router | */__pycache__) ;; *) return 1 ;; esac
    done
    grep -q extras "$TREE/klippy/klippy.py" && ! grep -q plugins "$TREE/klippy/klippy.py"
}

# Ours: it leads to this copy, or to a copy that is no longer there.
is_our_link() {
    [ -L "$1" ] || return 1
    if [ -e "$1" ]; then
        [ "$(cd "$1" 2>/dev/null && pwd -P)" = "$SOURCE" ]
    else
        case $(readlink "$1") in */klippy_extras/router) ;; *) return 1 ;; esac
    fi
}

# The interpreter that runs this tree, as far as it can be known.
find_python() {
    environment=$(dirname "$TREE")/klippy-env
    case $TREE in */site-packages) environment=$TREE/../../.. ;; esac
    while IFS= read -r PYTHON; do
        [ -z "$PYTHON" ] || ! command -v "$PYTHON" >/dev/null || return 0
    done <<CANDIDATES
$(echo "$RUNNING" | awk -F "$TAB" -v tree="$TREE" '$1 == tree { print $2; exit }')
$environment/bin/python
$TREE/.venv/bin/python
$HOME/klippy-env/bin/python
/usr/share/klippy-env/bin/python
CANDIDATES
    PYTHON=
}

# ---- The old router daemon --------------------------------------------------

# S98klipper-router-instances, beside its S99klipper-router, starts Klippys: those are peers.
is_daemon_name() { echo "$1" | grep -Eq '^([SK][0-9]+)?klipper[-_]routerd?(\.service)?$'; }

is_daemon_program() { grep -Eqs '(klipper_router\.py|klipper-routerd)([[:space:]"'"'"']|$)' "$@"; }

daemon_processes() {
    for process in "$SYSROOT"/proc/[0-9]*; do
        arguments=$(2>/dev/null <"$process/cmdline" tr '\0' '\n') || continue
        case $arguments in *klipper_router.py* | *klipper-routerd*) ;; *) continue ;; esac
        # Not an editor, or a shell that looks for it
        ! echo "$arguments" | awk '
            NR == 1 { python = /python/ }
            /(^|\/)(klipper_router\.py|klipper-routerd)$/ && (python || NR == 1) { found = 1 }
            END { exit !found }' || echo "${process##*/}"
    done
}

# What starts the daemon when the machine starts: a unit that is wanted, an init script.
daemon_starters() {
    for starter in "$SYSROOT"/etc/systemd/system/*.wants/*.service "$SYSROOT"/etc/init.d/*; do
        case $starter in */init.d/*.* | */init.d/K[0-9]*) continue ;; esac
        [ -f "$starter" ] || continue
        is_daemon_name "${starter##*/}" || is_daemon_program "$starter" || continue
        case $starter in
        *.service) echo "${starter##*/}" ;;
        *) [ ! -x "$starter" ] || echo "$starter" ;;
        esac
    done | sort -u
}

how_to_stop_daemon() {
    daemon_starters | while read -r starter; do
        case $starter in
        *.service) echo "${SUDO}systemctl disable --now $starter" ;;
        *) echo "$SUDO$starter stop; ${SUDO}chmod -x $starter" ;;
        esac
    done | awk '{ printf "%s%s", separator, $0; separator = "; " }'
}

# One line for each trace of it, with the way out.
daemon_notes() {
    processes=$(one_line "$(daemon_processes)")
    way=$(how_to_stop_daemon)
    if [ -n "$processes" ]; then
        echo "the old router daemon is running (process $processes), and with both every call" \
            "runs twice. Stop and disable it: ${way:-kill $processes}"
    elif [ -n "$way" ]; then
        echo "the old router daemon is not running, but starts with the machine, and with both" \
            "every call runs twice. Disable it: $way"
    fi
    for folder in "$HOME/klipper-router" "$(dirname "$TREE")/klipper-router"; do
        [ ! -e "$folder" ] || (cd "$folder" && pwd -P)
    done | sort -u | while IFS= read -r folder; do
        ! is_daemon_clone "$folder" || echo "$folder is the old router daemon's, not this" \
            "project, which is in $HERE: delete it once no config includes a file of it"
    done
}

is_daemon_clone() {
    [ ! -d "$1/klippy_extras/router" ] &&
        { [ -f "$1/src/klipper_router.py" ] || [ -f "$1/klipper_router.py" ]; }
}

say_daemon() {
    daemon_notes | while IFS= read -r text; do note "$text"; done
}

# ---- Checks -----------------------------------------------------------------

check_copy() {
    ! is_daemon_clone "$HERE" || die "$HERE is the old router daemon's clone: clone this project" \
        "into another folder, ~/klipper-router-extra for example, and run install.sh there"
    [ -f "$SOURCE/__init__.py" ] || die "there is no $SOURCE: run install.sh in a whole clone"
}

python_version() {
    "$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null
}

check_python() {
    [ -n "$PYTHON" ] || return 0
    version=$(python_version) ||
        die "$PYTHON, the Python of this Klipper, does not run; nothing was changed"
    case $version in
    [012].* | 3.[0-7]) die "$PYTHON is Python $version and Klipper Router needs 3.8 or later:" \
        "renew klippy-env first; nothing was changed" ;;
    esac
}

# shellcheck disable=SC2012  # ls: a BusyBox need not have stat
owner_of() { ls -ld -- "$1" | awk '{ print $3; exit }'; }

# As root only what is root's, or whose owner has no name: nobody can log in as
# that, so it is a firmware's.
check_may_write() {
    owner=$(owner_of "$1")
    case $(id -u),$allow_root,$owner in
    0,no,root | 0,no,[0-9]*) ;;
    0,no,*) die "$1 belongs to $owner: run install.sh as $owner, without sudo, or with" \
        "--allow-root; nothing was changed" ;;
    esac
    [ -w "$1" ] || die "$1 belongs to $owner and cannot be written by $(user); nothing was changed"
}

# What root makes belongs to whom the folder belongs.
give_to_folder_owner() {
    # shellcheck disable=SC2012
    [ "$(id -u)" != 0 ] ||
        chown -h "$(ls -ldn -- "$(dirname "$1")" | awk '{ print $3 ":" $4; exit }')" "$1"
}

check_name_is_free() {
    for found in "$PLACE" "$PLACE.py" "$OTHER" "$OTHER.py"; do
        case $KIND,$found in Klipper,*/plugins/*) continue ;; esac
        if is_our_link "$found"; then continue; fi
        if [ -L "$found" ]; then
            found="$found, a link to $(readlink "$found")"
        elif [ -d "$found" ]; then
            found="$found, a folder"
        elif [ ! -e "$found" ]; then
            continue
        fi
        die "found $found, which is not this Klipper Router: move it away and run install.sh" \
            "again; nothing was changed"
    done
}

check_tree_is_writable() {
    check_may_write "${PLACE%/*}"
    if is_our_link "$OTHER"; then check_may_write "${OTHER%/*}"; fi
    existing=$EXCLUDE
    while [ -n "$existing" ] && [ ! -e "$existing" ]; do existing=$(dirname "$existing"); done
    [ -z "$existing" ] || check_may_write "$existing"
}

# What the checks could not know, said once all else is well.
say_doubts() {
    [ -n "$PYTHON" ] ||
        note "found no klippy-env to ask for its Python; Klipper Router needs 3.8 or later."
    [ -z "$tree_option${KLIPPER_PATH:-}" ] || return 0
    running=$(running_trees)
    case $NEWLINE$running$NEWLINE in
    "$NEWLINE$NEWLINE" | *"$NEWLINE$TREE$NEWLINE"*) ;;
    *) note "$TREE is not the Klipper that runs now, see -k: $(one_line "$running")" ;;
    esac
}

# ---- A marked block in a file, and out again byte for byte ------------------

# The first line of the block says what else was added, for removing it.
append_block() { # FILE TEXT
    lead='' added=''
    if [ ! -e "$1" ]; then
        added=' (with this file)'
        if [ ! -e "$(dirname "$1")" ]; then
            added=' (with this file and its folder)'
            mkdir "$(dirname "$1")" && give_to_folder_owner "$(dirname "$1")" || return
        fi
        : >"$1" && give_to_folder_owner "$1" || return
    elif [ -n "$(tail -c 1 "$1")" ]; then
        added=' (with the line break above)' lead=$NEWLINE
    fi
    printf '%s%s\n%s\n%s\n' "$lead" "$BEGIN$added" "$2" "$END" >>"$1"
}

has_block() { [ -f "$1" ] && grep -q "^$BEGIN" "$1" && grep -qx "$END" "$1"; }

remove_block() { # FILE
    first=$(grep "^$BEGIN" "$1")
    last=$(tail -n 1 "$1")
    text=$(sed "/^$BEGIN/,/^$END\$/d" "$1" && echo x) || return
    text=${text%x}
    case $first,$last in *"line break above),$END") text=${text%"$NEWLINE"} ;; esac
    printf '%s' "$text" >"$1" || return
    case $first in *"this file"*) [ -s "$1" ] || rm "$1" ;; esac
    case $first in *"its folder"*) rmdir "$(dirname "$1")" || true ;; esac
}

# ---- The git exclude file ---------------------------------------------------

find_exclude() {
    EXCLUDE=
    [ -e "$TREE/.git" ] || return 0
    if EXCLUDE=$(git -C "$TREE" rev-parse --git-path info/exclude 2>/dev/null); then
        case $EXCLUDE in /*) ;; *) EXCLUDE=$TREE/$EXCLUDE ;; esac
    elif [ -d "$TREE/.git" ]; then
        EXCLUDE=$TREE/.git/info/exclude
    fi
}

# Both places, so that it stays right when the checkout changes between Klipper
# and Kalico; no slash at the end, for a link is no folder.
exclude_link() {
    [ -n "$EXCLUDE" ] || return 0
    if [ -f "$EXCLUDE" ] && grep -qx "/*${PLACE#"$TREE/"}" "$EXCLUDE"; then return; fi
    act "add the link to $EXCLUDE" \
        append_block "$EXCLUDE" "/klippy/extras/router$NEWLINE/klippy/plugins/router"
}

# ---- Instances: the Klippys of this machine ---------------------------------

# One line for each: name, API socket, config, and its process or how else it
# was found. A config that is not known is -. The main one comes first.
find_instances() {
    {
        echo "$RUNNING" | awk -F "$TAB" -v OFS="$TAB" '$3 != "-" && $4 ~ /^\// {
            print ($4 !~ /\/printer_data\/config\/printer\.cfg$/), $5, $3, $4 }' | sort | cut -f 2-
        service_klippys
        data_folders | while IFS= read -r data; do
            echo "folder$TAB$data/comms/klippy.sock$TAB$data/config/printer.cfg"
        done
        data_folders | while IFS= read -r data; do
            for socket in "$data"/comms/klipp*.sock; do
                [ ! -S "$socket" ] || echo "socket$TAB$socket$TAB-"
            done
        done
    } | while IFS=$TAB read -r how socket config; do
        echo "$how$TAB$socket$TAB$config$TAB$(real_path "$socket")$TAB$(real_path "$config")"
    done | name_instances | sort | cut -f 2-
}

real_path() { readlink -f "$1" 2>/dev/null || echo "$1"; }

data_folders() {
    for base in "$HOME" "${TREE:+$(dirname "$TREE")}"; do
        base=$([ -n "$base" ] && cd "$base" 2>/dev/null && pwd -P) || continue
        for data in "$base/printer_data" "$base"/printer_*_data; do
            if [ -f "$data/config/printer.cfg" ] || [ -S "$data/comms/klippy.sock" ]; then
                echo "$data"
            fi
        done
    done | awk '!seen[$0]++'
}

# Klippys that need not run now, from what would start them.
service_klippys() {
    {
        for file in "$SYSROOT"/etc/systemd/system/*.service "$SYSROOT"/etc/default/*klipp* \
            "$SYSROOT"/etc/init.d/*klipp*; do
            [ ! -f "$file" ] || echo "$file"
            sed -n 's/^EnvironmentFile=-\{0,1\}//p' "$file" 2>/dev/null || true
        done
        data_folders | while IFS= read -r data; do
            for file in "$data"/systemd/*.env; do echo "$file"; done
        done
    } | sort -u | while IFS= read -r file; do
        grep -Eqs 'klippy|kalico' "$file" || continue
        expand_variables <"$file" | while IFS= read -r line; do
            fields=$(echo "$line" | tr -s ' \t' '\n' | klippy_command)
            case $fields in *[\$%?]* | *"$TAB-$TAB"*) continue ;; esac
            config=${fields##*"$TAB"}
            [ ! -f "$config" ] || echo "service$TAB${fields#*"$TAB"}"
        done
    done
}

# The lines of a unit, an environment file or an init script, with what it sets
# filled in and no quotes; ? for what it does not set.
expand_variables() {
    awk '
        function expand(text, out, name) {
            while (match(text, /\$[{]?[A-Za-z_][A-Za-z0-9_]*[}]?/)) {
                name = substr(text, RSTART + 1, RLENGTH - 1)
                gsub(/[{}]/, "", name)
                out = out substr(text, 1, RSTART - 1) (name in value ? value[name] : "?")
                text = substr(text, RSTART + RLENGTH)
            }
            return out text
        }
        {
            while (sub(/\\$/, " ") && (getline more) > 0) $0 = $0 more
            gsub(/["\047]/, "")
            sub(/^[ \t]*(Environment=|export |local )?/, "")
            line = expand($0)
            if (match(line, /^[A-Za-z_][A-Za-z0-9_]*=/)) {
                value[substr(line, 1, RLENGTH - 1)] = substr(line, RLENGTH + 1)
                line = substr(line, RLENGTH + 1)
            }
            print line
        }'
}

# Leaves out what is there already, gives each instance a name that no other
# has (my-led and my_led are one to the router), and a key for sorting.
name_instances() {
    awk -F "$TAB" -v OFS="$TAB" -v home="$HOME" '
        function last(path) { sub(/.*\//, "", path); return path }
        function above(path) { sub(/\/[^\/]*$/, "", path); return path }
        # klippy_led_uds, klippy-router-led.sock, printer_led_data, printer_led.cfg, led: led;
        # klippy.sock, klippy_uds, printer_data, klipper_config, printer.cfg: nothing
        function meaning(word) {
            sub(/\.[a-z]+$/, "", word)
            gsub(/[^A-Za-z0-9_-]/, "_", word)
            sub(/^(klippy|klipper|kalico|printer)([_-]|$)/, "", word)
            sub(/^(router|uds)[_-]/, "", word)
            sub(/(^|[_-])(data|uds|config)$/, "", word)
            return word ~ /^(api|api_?sock|sock|socket|api_server)$/ ? "" : word
        }
        function name_of(socket, config, word) {
            if (word = meaning(last(socket))) return word
            if (last(above(socket)) == "comms") return meaning(last(above(above(socket))))
            if (config == "-") return ""
            if (word = meaning(last(config))) return word
            config = above(config)
            if (last(config) == "config") config = above(config)
            return config == home ? "" : meaning(last(config))
        }
        function key(name) { name = toupper(name); gsub(/[^A-Z0-9]+/, "_", name); return name }
        seen[$4]++ || ($5 != "-" && seen[$5]++) { next }
        {
            if (!(name = name_of($2, $3))) name = "main"
            if (key(name) in taken && $1 ~ /^(folder|socket)$/) next
            unique = name
            for (number = 2; key(unique) in taken; number++) unique = name "_" number
            taken[key(unique)] = 1
            print (unique != "main"), unique, $2, $3, $1
        }'
}

# Sets HOST_NAME and HOST_CONFIG.
find_host() {
    names=
    while IFS=$TAB read -r HOST_NAME _ HOST_CONFIG _; do
        [ -n "$HOST_NAME" ] || break
        folder=${HOST_CONFIG%/*}
        folder=${folder%/config}
        case ${host_option%/} in '' | "$HOST_NAME" | "$folder" | "${folder##*/}") return ;; esac
        names="$names $HOST_NAME"
    done <<LIST
$INSTANCES
LIST
    [ -z "$host_option" ] || die "there is no instance called $host_option; found:${names:- none}"
    HOST_NAME=main HOST_CONFIG=$HOME/printer_data/config/printer.cfg
}

peers() { echo "$INSTANCES" | awk -F "$TAB" -v host="$HOST_NAME" '$1 && $1 != host'; }

# ---- The configs of the instances -------------------------------------------

# The [router] sections and the [include]s of a config, in the order in which
# Klipper reads them: file, line number and text, by tabs. An include of one
# file that does not exist is followed by [missing FILE].
router_config() ( # FILE [FILES ABOVE]
    path=$(real_path "$1")
    case ${2:-} in *"<$path>"*) exit ;; esac # Klipper refuses a circle
    [ -f "$1" ] && [ -r "$1" ] || exit 0
    awk -v tab="$TAB" '
        { sub(/[ \t]*(#.*)?\r?$/, "") }
        /^\[/ { wanted = /^\[(router|(router|include) .*)\]/ }
        wanted && $0 != "" { print FILENAME tab FNR tab $0 }' "$1" | while IFS= read -r line; do
        echo "$line"
        text=${line#*"$TAB"*"$TAB"}
        case $text in "[include "*) ;; *) continue ;; esac
        included "$1" "$text" | while IFS= read -r file; do
            if [ -e "$file" ]; then
                router_config "$file" "${2:-}<$path>"
            else
                echo "${line%"$text"}[missing $file]"
            fi
        done
    done
)

# The files of an [include] line; one that does not exist only where it is no pattern.
included() ( # FILE TEXT
    spec=$(echo "$2" | sed 's/^\[include *\(.*\)\].*/\1/; s/ *$//')
    spec=$(absolute "$(dirname "$1")" "$spec")
    IFS=$NEWLINE
    for deep in '' '*/' '*/*/' '*/*/*/'; do # ** is Kalico's
        # shellcheck disable=SC2086
        for file in $(echo "$spec" | sed "s,\*\*/,$deep,"); do
            case $file in *[*?[]*) [ ! -e "$file" ] || echo "$file" ;; *) echo "$file" ;; esac
        done
        case $spec in *'**/'*) ;; *) break ;; esac
    done
)

host_sections() {
    printf '[router]\nname: %s\n' "$HOST_NAME"
    peers | while IFS=$TAB read -r name socket _; do
        printf '\n[router %s]\nsock: %s\n' "$name" "$socket"
    done
}

check_config_file() {
    [ -d "$(dirname -- "$config_file")" ] || die "there is no folder for $config_file"
    config_file=$(cd "$(dirname -- "$config_file")" && pwd -P)/$(basename -- "$config_file")
    if [ -e "$config_file" ] || [ -L "$config_file" ]; then
        die "$config_file exists already: name a new file; nothing was changed"
    fi
    check_may_write "$(dirname "$config_file")"
}

write_config() { (set -C && host_sections >"$config_file") && give_to_folder_owner "$config_file"; }

print_sections() {
    if [ -n "$config_file" ]; then
        printf '\nPut this line into %s:\n\n[include %s]\n' "$HOST_CONFIG" "$config_file"
    else
        printf '\nPut this into %s:\n\n%s\n' "$HOST_CONFIG" "$(host_sections)"
    fi
    include=$HERE/includes/router_api.cfg
    peers | while IFS=$TAB read -r name socket config how; do
        [ "$config" != - ] || config="the printer.cfg of $name"
        printf '\nPut this line into %s:\n\n[include %s]\n' "$config" "$include"
        [ "$how" != folder ] || [ -S "$socket" ] ||
            note "$name does not run; if its Klippy has another -a than $socket, correct sock"
    done
    echo
}

# ---- What the configs have of this ------------------------------------------

all_router_config() {
    echo "$INSTANCES" | while IFS=$TAB read -r _ _ config _; do
        [ -z "$config" ] || router_config "$config"
    done | awk '!seen[$0]++'
}

# Every [router] and [router NAME], as FILE:LINE:TEXT.
remaining_sections() {
    all_router_config | awk -F "$TAB" '$3 ~ /^\[router/ { print $1 ":" $2 ":" $3 }'
}

# Every [include] of router_api.cfg or router_watchdog.cfg, as FILE:LINE:TEXT;
# with "here" only those that need this copy.
router_includes() { # [here]
    all_router_config | while IFS=$TAB read -r file line text; do
        case $(real_path "$file"),$text in
        "$HERE/includes/"*) continue ;; # router_api.cfg includes the watchdog
        *",[include "*) ;;
        *) continue ;;
        esac
        where=$(include_of_router "$file" "$text")
        case ${1:-all},$where in *,no | here,elsewhere) ;; *) echo "$file:$line:$text" ;; esac
    done
}

# Whether an include is one of ours: here, elsewhere or no.
include_of_router() { # FILE TEXT
    found=$(included "$1" "$2" | grep -E '/router_(api|watchdog)\.cfg$') || { echo no && return; }
    echo "$found" | while IFS= read -r each; do
        # One that is missing may have been another copy's; Klipper does not start with it either
        folder=$(cd "$(dirname "$each")" 2>/dev/null && pwd -P) || folder=$HERE/includes
        [ "$folder" != "$HERE/includes" ] || echo here
    done | grep -m 1 here || echo elsewhere
}

# ---- Moonraker --------------------------------------------------------------

check_update_manager() {
    [ -n "$moonraker_conf" ] || moonraker_conf=$(dirname "$HOST_CONFIG")/moonraker.conf
    [ -f "$moonraker_conf" ] || die "there is no $moonraker_conf: name it, --update-manager FILE"
    ORIGIN=$(git -C "$HERE" remote get-url origin 2>/dev/null) || die "$HERE is no git clone with" \
        "a remote called origin, so Moonraker cannot update it: install from a clone"
    check_may_write "$moonraker_conf"
    check_may_write "$(dirname "$moonraker_conf")"
}

back_up() {
    copy=$1.$(date +%Y%m%d_%H%M%S).bak
    while [ -e "$copy" ]; do copy=$copy.bak; done
    cp -p "$1" "$copy" && give_to_folder_owner "$copy"
}

copies_of() { # FILE
    for copy in "$1".[0-9]*_[0-9]*.bak*; do [ ! -f "$copy" ] || echo "$copy"; done
}

add_update_manager() {
    there=$(grep -lE '^\[update_manager +klipper-router\]' "$moonraker_conf" \
        "$(dirname "$moonraker_conf")"/*.conf 2>/dev/null | head -n 1)
    if [ -n "$there" ]; then
        path=$(update_manager_path "$there")
        if [ "$(cd "$path" 2>/dev/null && pwd -P)" = "$HERE" ]; then
            echo "Moonraker's update manager already has Klipper Router."
        else
            note "[update_manager klipper-router] in $there is for $path, not for this copy: set" \
                "its path to $HERE and its origin to $ORIGIN, or remove it and run this again"
        fi
        return
    fi
    act "keep a copy of $moonraker_conf beside it" back_up "$moonraker_conf"
    act "add [update_manager klipper-router] to $moonraker_conf" append_block "$moonraker_conf" \
        "[update_manager klipper-router]
type: git_repo
path: $HERE
origin: $ORIGIN
primary_branch: main
managed_services: klipper"
    echo "Restart Moonraker to let it know."
}

update_manager_path() { # FILE
    awk '/^\[/ { inside = /^\[update_manager +klipper-router\]/ }
        inside && sub(/^path *[:=] */, "") { print; exit }' "$1" | sed "s,^~/,$HOME/,"
}

# The moonraker.conf files that install.sh has added to.
our_moonraker_confs() {
    {
        echo "$moonraker_conf"
        echo "$INSTANCES" | cut -f 3 | sed 's,/[^/]*$,/moonraker.conf,'
    } | awk '!seen[$0]++' | while IFS= read -r conf; do
        ! has_block "$conf" || echo "$conf"
    done
}

# ---- Restarting -------------------------------------------------------------

# One command per line: of systemd, else of the init scripts.
find_restart_commands() {
    RESTART=
    if [ -d "$SYSROOT/run/systemd/system" ] && command -v systemctl >/dev/null; then
        RESTART=$(systemd_units | while read -r unit; do
            ! runs_klippy "$unit" || echo "systemctl restart $unit"
        done)
    fi
    [ -n "$RESTART" ] || RESTART=$(klippy_init_scripts | sed 's/$/ restart/')
}

systemd_units() {
    systemctl list-units --all --plain --no-legend --type=service 'klipper*' 'kalico*' |
        awk '$1 ~ /\.service$/ { print $1 }'
}

# klipper.service, klipper-1, klipper-led, ...: by what it starts, for klipper-mcu, klipper-router
# (the old daemon), klipper-backup and others have such names, too.
runs_klippy() {
    ! is_daemon_name "$1" && systemctl cat "$1" 2>/dev/null | grep -E '^(ExecStart|Source)' |
        grep -Eq 'klippy\.py|-m klippy|/kalico( |$)|KLIPP(ER|Y)_ARGS|/init\.d/klipper'
}

# Their names and texts are the vendors'. Not what is switched off by its name (K55..., ....bak).
klippy_init_scripts() {
    for script in "$SYSROOT"/etc/init.d/*klipper*; do
        if ! [ -f "$script" ] || ! [ -x "$script" ] || is_daemon_name "${script##*/}"; then
            continue
        fi
        case ${script##*/} in *mcu* | *[Ss]creen* | *.* | K[0-9][0-9]*) ;; *) echo "$script" ;; esac
    done
}

# Asks a Klippy and prints these values of its answer, one per line, none for what is
# not in it; only "off" where nobody listens, and nothing where no answer came.
ask() { # SOCKET METHOD PARAMS NAME.NAME...
    "${PYTHON:-python3}" - "$@" <<'PROGRAM'
import functools, json, socket, sys
path, method, params, *wanted = sys.argv[1:]
connection = socket.socket(socket.AF_UNIX)
connection.settimeout(5.)
try:
    connection.connect(path)
except (FileNotFoundError, ConnectionRefusedError):
    print("off")
    sys.exit()
request = {"id": 1, "method": method, "params": json.loads(params)}
connection.sendall(json.dumps(request).encode() + b"\x03")
data = b""
while b"\x03" not in data:
    data += connection.recv(4096) or sys.exit(1)
result = json.loads(data.split(b"\x03")[0]).get("result", {})
for names in wanted:
    value = functools.reduce(lambda found, name: (found or {}).get(name), names.split("."), result)
    text = "none" if value is None else str(value)
    print(text.encode("ascii", "replace").decode().split("\n")[0])
PROGRAM
}

print_state() {
    ask "$1" objects/query '{"objects": {"print_stats": ["state"]}}' status.print_stats.state
}

check_restart() {
    find_restart_commands
    [ "$action" = uninstall ] || [ -z "$(daemon_processes)" ] || die "the old router daemon is" \
        "running, and with both every call runs twice: stop it first (install.sh without" \
        "--restart says how); nothing was changed"
    [ -n "$RESTART" ] || die "found no service of Klipper: leave --restart out and restart" \
        "Klipper the way it is started here; nothing was changed"
    while IFS= read -r socket; do
        [ -S "$socket" ] || continue
        case $(print_state "$socket" 2>/dev/null) in
        printing | paused) die "the printer at $socket has a print running or paused: restart" \
            "when it is done; nothing was changed" ;;
        "") die "the printer at $socket does not say whether it is printing: leave --restart out" \
            "and restart it by hand; nothing was changed" ;;
        esac
    done <<SOCKETS
$(echo "$INSTANCES" | cut -f 2)
SOCKETS
}

# Not by act: polkit may ask the user for a password.
restart_klipper() {
    while IFS= read -r command <&3; do
        if [ "$dry_run" = yes ]; then
            echo "Would run $command"
        else
            # shellcheck disable=SC2086  # a command made above, of plain words
            $command || die "'$command' failed: run it as root, with sudo for example"
            echo "Done: $command"
        fi
    done 3<<COMMANDS
$RESTART
COMMANDS
}

say_how_to_restart() {
    find_restart_commands
    echo "When no print is running, restart Klipper's service (RESTART does not reload code)."
    [ -z "$RESTART" ] || echo "$RESTART" | sed "s/^/$SUDO/"
}

# ---- What can be asked for --------------------------------------------------

make_link() { ln -sfn "$SOURCE" "$PLACE" && give_to_folder_owner "$PLACE"; }

remove_other_link() {
    rm "$OTHER" || return
    [ "$KIND" = Kalico ] || rmdir "${OTHER%/*}" || true # left by Kalico
}

install() {
    check_copy
    check_name_is_free
    check_tree_is_writable
    check_python
    [ -z "$config_file" ] || check_config_file
    [ "$update_manager" = no ] || check_update_manager
    [ "$restart" = no ] || check_restart
    say_doubts

    if is_our_link "$OTHER"; then act "remove the link $OTHER" remove_other_link; fi
    [ -e "$PLACE" ] || act "link $PLACE to $SOURCE" make_link
    exclude_link
    installed=$changed
    [ "$installed" = yes ] || echo "Klipper Router is already installed in $TREE ($KIND)."
    [ -z "$config_file" ] || act "write $config_file" write_config
    [ "$update_manager" = no ] || add_update_manager
    print_sections
    say_daemon
    if [ "$restart" = yes ]; then
        restart_klipper
    elif [ "$installed" = yes ]; then
        say_how_to_restart
    fi
}

uninstall() {
    sections=$(remaining_sections)
    includes=$(router_includes here)
    confs=$(our_moonraker_confs)
    check_tree_is_writable
    while IFS= read -r conf; do
        [ -z "$conf" ] || { check_may_write "$conf" && check_may_write "$(dirname "$conf")"; }
    done <<CONFS
$confs
CONFS
    if [ "$restart" = yes ]; then
        [ -z "$sections" ] || die "Klipper would not start again: remove the sections from the" \
            "config first: $(one_line "$sections"); nothing was changed"
        check_restart
    fi

    if is_our_link "$PLACE"; then act "remove $PLACE" rm "$PLACE"; fi
    if is_our_link "$OTHER"; then act "remove $OTHER" remove_other_link; fi
    if has_block "$EXCLUDE"; then act "take the link out of $EXCLUDE" remove_block "$EXCLUDE"; fi
    while IFS= read -r conf; do
        [ -n "$conf" ] || continue
        act "keep a copy of $conf beside it" back_up "$conf"
        act "take [update_manager klipper-router] out of $conf" remove_block "$conf"
    done <<CONFS
$confs
CONFS
    [ "$changed" = yes ] || echo "Klipper Router is not installed in $TREE ($KIND)."
    echo "$confs" | while IFS= read -r conf; do
        [ -z "$conf" ] || copies_of "$conf" |
            sed 's/^/Left here, delete it when Moonraker works: /'
    done
    if [ -n "$sections" ]; then
        note "Klipper will not start while these sections are in its config:$NEWLINE$sections"
    fi
    if [ -n "$includes" ]; then
        note "remove these lines before you delete $HERE, or Klipper will not" \
            "start:$NEWLINE$includes"
    fi
    [ "$restart" = no ] || restart_klipper
}

version_of() { sed -n 's/^VERSION = "\(.*\)"/\1/p' "$1/version.py" 2>/dev/null || true; }

this_copy() { echo "$HERE, version ${VERSION:-unknown} ($(commit_of "$HERE"))"; }

# Of a tree, not of a repository around it.
commit_of_tree() {
    if [ -e "$TREE/.git" ]; then commit_of "$TREE"; else echo "no git checkout"; fi
}

commit_of() { git -C "$1" describe --always --tags --dirty 2>/dev/null || echo "unknown commit"; }

status() {
    echo "This copy: $(this_copy)"
    echo "Klipper:   $TREE ($KIND, $(commit_of_tree), Python: ${PYTHON:-not found})"
    installed=no
    for link in "$PLACE" "$OTHER"; do
        [ -L "$link" ] || continue
        installed=$(readlink "$link")
        version=$(version_of "$link")
        echo "Installed: $link -> $installed, version ${version:-unknown}" \
            "($(commit_of "$installed"))"
    done
    [ "$installed" != no ] || echo "Installed: no"
    echo "$INSTANCES" | while IFS=$TAB read -r name socket config how; do
        case $how in '') continue ;; *[!0-9]*) how="not running" ;; *) how="process $how" ;; esac
        echo "Instance:  $name ($how), $socket, $config"
    done
    our_moonraker_confs | sed 's/^/Updates:   /'
    daemon_notes | sed 's/^/Daemon:    /'
    remaining_sections | sed 's/^/Section:   /'
    router_includes | sed 's/^/Include:   /'
}

# ---- The diagnosis, also where no Klippy runs -------------------------------

# Lines as ROUTER_DIAGNOSE prints them; nothing is changed.
ok() { oks=$((oks + 1)) && printf 'ok   %s\n' "$*"; }
warn() { warns=$((warns + 1)) && printf 'WARN %s\n' "$*"; }
fail() { fails=$((fails + 1)) && printf 'FAIL %s\n' "$*"; }

doctor() {
    oks=0 warns=0 fails=0
    doctor_copy
    if [ -n "$TREE" ]; then
        ok "install klipper: $TREE ($KIND, $(commit_of_tree))"
        doctor_python
        doctor_link
    else
        fail "install klipper: $tree_problem"
    fi
    doctor_daemon
    doctor_hosts
    echo "Checks: $oks ok, $warns WARN, $fails FAIL"
    [ "$fails" = 0 ]
}

# What one of the checks above dies of.
problem_of() { ("$@") 2>&1 | sed 's/^install\.sh: //; s/; nothing was changed$//'; }

doctor_copy() {
    problem=$(problem_of check_copy)
    if [ -n "$problem" ]; then
        fail "install copy: $problem"
    else
        ok "install copy: $(this_copy)"
    fi
}

doctor_python() {
    problem=$(problem_of check_python)
    if [ -z "$PYTHON" ]; then
        warn "install python: found no klippy-env; Klipper Router needs Python 3.8 or later"
    elif [ -n "$problem" ]; then
        fail "install python: $problem"
    else
        ok "install python: $PYTHON, $(python_version)"
        doctor_import
    fi
}

doctor_import() {
    if problem=$("$PYTHON" -B -c 'import sys; sys.path.insert(0, sys.argv[1]); import router
router.load_config, router.load_config_prefix' "$HERE/klippy_extras" 2>&1); then
        ok "install import: $SOURCE can be imported"
    else
        fail "install import: $(echo "$problem" | tail -n 1): look at git -C $HERE status, and pull"
    fi
}

doctor_link() {
    leads_to=$(readlink "$PLACE" || true)
    if is_our_link "$PLACE" && [ -e "$PLACE" ]; then
        ok "install link: $PLACE"
        doctor_exclude
    elif is_our_link "$PLACE"; then
        fail "install link: $PLACE leads to $leads_to, which does not exist: run install.sh"
    elif [ -n "$leads_to" ]; then
        fail "install link: $PLACE leads to $leads_to, not to this copy: use that one, or run its" \
            "install.sh --uninstall and then $HERE/install.sh"
    elif [ -e "$PLACE" ]; then
        fail "install link: $PLACE is not a link to this copy: move it away and run install.sh"
    else
        fail "install link: there is no $PLACE: run install.sh"
    fi
    for found in "$PLACE.py" "$OTHER" "$OTHER.py"; do
        [ -e "$found" ] || [ -L "$found" ] || continue
        problem="install link: $found is there, too: remove it (install.sh does if it is its own)"
        case $KIND,$found in Klipper,*/plugins/*) warn "$problem" ;; *) fail "$problem" ;; esac
    done
}

doctor_exclude() {
    [ -n "$EXCLUDE" ] || return 0
    grep -qsx "/*${PLACE#"$TREE/"}" "$EXCLUDE" || warn "install git: $EXCLUDE does not have the" \
        "link, so Moonraker sees a changed Klipper: run $HERE/install.sh"
}

doctor_daemon() {
    running=$(daemon_processes)
    notes=$(daemon_notes)
    [ -n "$notes" ] || ok "install daemon: the old router daemon is not running and not enabled"
    while IFS= read -r text; do
        case $text,$running in
        ,*) ;;
        "the old router daemon is running"*) fail "install daemon: $text" ;;
        *) warn "install daemon: $text" ;;
        esac
    done <<NOTES
$notes
NOTES
}

doctor_hosts() {
    hosts=0
    while IFS=$TAB read -r name socket config how <&3; do
        [ -n "$name" ] || continue
        if [ -e "$config" ] && [ ! -r "$config" ]; then
            warn "$name config: $(user) cannot read $config: run this as the user of Klipper"
        fi
        lines=$(router_config "$config")
        doctor_includes
        case $lines in *"${TAB}[router]"*) hosts=$((hosts + 1)) && doctor_host ;; esac
    done 3<<LIST
$INSTANCES
LIST
    [ "$hosts" != 0 ] || fail "$HOST_NAME config: no [router] in $HOST_CONFIG: put there what" \
        "$HERE/install.sh prints"
}

doctor_includes() {
    missing=$(echo "$lines" | sed -n "s/^\(.*\)$TAB\([0-9]*\)$TAB\[missing \(.*\)\]\$/\1:\2: \3/p")
    [ -z "$missing" ] || fail "$name config: these files do not exist, correct or remove the" \
        "[include]: $(one_line "$missing")"
}

# Of the instance that is in name, socket, config, how and lines.
doctor_host() {
    ok "$name config: $config has [router]"
    case $how in
    *[!0-9]*) who=$config home=$(home_of "$(owner_of "$config")") ;;
    *)
        who=$SYSROOT/proc/$how/.
        home=$(2>/dev/null <"$SYSROOT/proc/$how/environ" tr '\0' '\n' | sed -n 's/^HOME=//p')
        ;;
    esac
    runs_as=$(owner_of "$who")
    home=${home:-$(home_of "$runs_as")}
    if barrier=$(barrier "$runs_as" r "$SOURCE/__init__.py"); then
        fail "$name user: $runs_as, who runs this Klipper, cannot read $barrier: chmod a+rX it"
    else
        ok "$name user: $runs_as, who can read this copy"
    fi
    case $how in
    *[!0-9]*) warn "$name klippy: does not run: start its service" ;;
    *) doctor_running_host ;;
    esac
    sections=$(echo "$lines" | sed -n "s/^.*$TAB\[router \(.*\)\]\$/\1/p" | awk '!seen[$0]++')
    while IFS= read -r peer <&4; do
        [ -z "$peer" ] || doctor_peer
    done 4<<SECTIONS
$sections
SECTIONS
}

home_of() { # USER
    home=$(awk -F : -v user="$1" '$1 == user || $3 == user { print $6; exit }' /etc/passwd)
    echo "${home:-$HOME}"
}

doctor_running_host() {
    doctor_klippy "$name" "$socket" || return 0
    loaded=$(loaded_version "$socket" router)
    case $loaded in
    "$VERSION") ok "$name router: version $loaded is loaded" ;;
    none) fail "$name router: is in the config, but not loaded: restart Klipper's service" ;;
    *) warn "$name router: version ${loaded:-unknown} is loaded, this copy is $VERSION: restart" \
        "Klipper's service" ;;
    esac
}

loaded_version() { # SOCKET OBJECT
    objects="{\"objects\": {\"$2\": [\"version\"]}}"
    ask "$1" objects/query "$objects" "status.$2.version" 2>/dev/null || true
}

# Whether a Klippy answers, and what it says of itself.
doctor_klippy() { # NAME SOCKET
    answer=$(ask "$2" info '{}' state state_message 2>/dev/null) || answer=
    case $answer in
    ready*) ok "$1 klippy: ready" ;;
    off) fail "$1 klippy: nobody listens at $2: start its service" && return 1 ;;
    '')
        if is_listening "$2"; then
            warn "$1 klippy: listens at $2, but $(user) gets no answer: run this as the user of" \
                "Klipper; if that is so, it hangs: restart its service"
        else
            fail "$1 klippy: nobody listens at $2: start its service"
        fi
        return 1
        ;;
    *) warn "$1 klippy: ${answer%%"$NEWLINE"*}: ${answer#*"$NEWLINE"}" ;;
    esac
}

# One that listens has the flag 00010000; its path comes after seven fields.
is_listening() {
    awk -v wanted="$(real_path "$1")" -v given="$1" '$4 == "00010000" {
        for (field = 1; field <= 7; field++) sub(/^ *[^ ]+ +/, "")
        if ($0 == wanted || $0 == given) found = 1 }
        END { exit !found }' "$SYSROOT/proc/net/unix" 2>/dev/null
}

# Of the section [router PEER] in the lines of a host.
doctor_peer() {
    path=$(router_option "router $peer" sock)
    path=${path:-$home/printer_${peer}_data/comms/klippy.sock}
    case $path in \~/*) path=$home/${path#??} ;; esac
    doctor_socket && doctor_klippy "$peer" "$path" || return 0
    doctor_include
}

router_option() { # SECTION OPTION
    echo "$lines" | cut -f 3- | awk -v section="[$1]" -v option="$2" '
        /^\[/ { inside = $0 == section; next }
        inside && match($0, "^" option "[ \t]*[:=]") { value = substr($0, RLENGTH + 1) }
        END { sub(/^[ \t]+/, "", value); print value }'
}

doctor_socket() {
    if [ ! -e "$path" ] && barrier=$(barrier "$(user)" x "$(dirname "$path")") &&
        [ -e "$barrier" ]; then
        warn "$peer socket: $(user) cannot look into $barrier: run this as $runs_as"
    elif [ ! -e "$path" ]; then
        fail "$peer socket: there is no $path: its Klipper does not run, or its option -a names" \
            "another file. Start it, or correct sock$(other_socket)"
    elif [ ! -S "$path" ]; then
        fail "$peer socket: $path is not a socket: write what option -a of its Klipper says"
    elif [ "$(real_path "$path")" = "$(real_path "$socket")" ]; then
        fail "$peer socket: $path is that of $name itself: write that of the other printer"
    elif barrier=$(barrier "$runs_as" w "$(real_path "$path")"); then
        fail "$peer socket: $runs_as, who runs $name, cannot use $barrier, which belongs to" \
            "$(owner_of "$barrier"): run both Klippers as one user"
    else
        # shellcheck disable=SC2012
        mode=$(ls -ldL -- "$path" | cut -c 1-10)
        ok "$peer socket: $path, owner $(owner_of "$path"), mode $mode"
        return
    fi
    return 1
}

# Where the instance of this name listens.
other_socket() {
    echo "$INSTANCES" | awk -F "$TAB" -v name="$peer" -v path="$path" '
        $1 == name && $2 != path { print ": the one that is called " name " has " $2 }'
}

doctor_include() {
    peer_config=$(echo "$INSTANCES" | awk -F "$TAB" -v path="$(real_path "$path")" '
        $2 == path && $3 != "-" { print $3; exit }')
    [ -n "$peer_config" ] || peer_config=$(ask "$path" info '{}' config_file) || true
    include=$(api_include "$peer_config")
    has=$(sed -n 's/^variable_version: *"\(.*\)".*/\1/p' "${include:-/dev/null}" | head -n 1)
    if [ ! -r "$peer_config" ]; then
        warn "$peer include: cannot read its config $peer_config"
    elif router_config "$peer_config" | grep -q "$TAB\[router]"; then
        ok "$peer include: needs none, it has a router of its own"
    elif [ -z "$include" ]; then
        warn "$peer include: its macros cannot use the router: put [include" \
            "$HERE/includes/router_api.cfg] into $peer_config"
    elif [ "$has" != "$VERSION" ]; then
        warn "$peer include: $include is of version ${has:-unknown}, this copy of $VERSION:" \
            "include $HERE/includes/router_api.cfg"
    elif [ "$(loaded_version "$path" "gcode_macro _ROUTER")" != "$VERSION" ]; then
        warn "$peer include: $include is not loaded in this version: RESTART on $peer"
    else
        ok "$peer include: $include, version $has"
    fi
}

# The file of an [include] of router_api.cfg.
api_include() { # CONFIG
    router_config "$1" | while IFS=$TAB read -r file _ text; do
        case $text in "[include "*) included "$file" "$text" ;; esac
    done | grep '/router_api\.cfg$' | head -n 1
}

# What keeps a user from reading (r), writing (w) or entering (x) a path; fails where nothing does.
barrier() { # USER r|w|x PATH
    [ "$1" != root ] || return 1
    [ "$3" = / ] || ! barrier "$1" x "$(dirname "$3")" || return 0
    ! may "$@" || return 1
    echo "$3"
}

may() { # USER r|w|x PATH
    # shellcheck disable=SC2012
    ls -ldL -- "$3" 2>/dev/null | awk -v user="$1" -v bit="$2" \
        -v groups=" $(id -Gn "$1" 2>/dev/null) " '{
            from = $3 == user ? 2 : index(groups, " " $4 " ") ? 5 : 8
            found = index(substr($1, from, 3), bit) || bit == "x" && substr($1, from, 3) ~ /[st]/
        }
        END { exit !found }'
}

action=install tree_option='' host_option='' config_file='' moonraker_conf=''
update_manager=no restart=no allow_root=no dry_run=no changed=no
while [ $# -gt 0 ]; do
    case $1,${2:-} in -k, | --host, | --write-config,) die "$1 needs a value; see --help" ;; esac
    case $1 in
    -k) tree_option=$2 && shift ;;
    --host) host_option=$2 && shift ;;
    --write-config) config_file=$2 && shift ;;
    --update-manager)
        update_manager=yes
        case ${2:-} in '' | -*) ;; *) moonraker_conf=$2 && shift ;; esac
        ;;
    --uninstall) action=uninstall ;;
    --status) action=status ;;
    --doctor) action=doctor ;;
    --restart) restart=yes ;;
    --allow-root) allow_root=yes ;;
    --dry-run) dry_run=yes ;;
    -h | --help) usage && exit ;;
    *) die "there is no option $1; see --help" ;;
    esac
    shift
done

SUDO=
[ "$(id -u)" = 0 ] || SUDO='sudo '
TREE='' PYTHON=''
VERSION=$(version_of "$SOURCE")
RUNNING=$(running_klippys)
tree_problem=$([ "$action" != doctor ] || problem_of find_tree)
if [ -z "$tree_problem" ]; then
    find_tree
    find_place
    find_exclude
    find_python
fi
INSTANCES=$(find_instances)
find_host
"$action"
