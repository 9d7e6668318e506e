# Sourced by the commands of this folder: finds Python and makes the checkout's .venv.
#
#   . "$(dirname "$0")/_environment.sh"
#   make_environment dev        # an extra of pyproject.toml, several as a,b, or '' for none
#
# $root is the checkout, $venv_python the interpreter of its .venv.

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
venv_python=$root/.venv/bin/python

# Prints the comment at the head of a command, and ends it, where $1 asks for help.
show_help() {
    case ${1:-} in
    -h | --help)
        sed -n '2,/^[^#]/{s/^# \{0,1\}//p;}' "$0"
        exit
        ;;
    esac
}

say() {
    printf '%s\n' "$*" >&2
}

# Prints the first Python from 3.11 on that can import the modules named in $1.
find_python() {
    for candidate in python3.14 python3.13 python3.12 python3.11 python3 python; do
        if "$candidate" -c "import sys; assert sys.version_info >= (3, 11); import $1" \
            >/dev/null 2>&1; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    return 1
}

# Makes .venv. Debian keeps pip's wheel in a separate package, which is only unpacked.
make_venv() {
    if python=$(find_python 'venv, ensurepip'); then
        say "Making .venv with $("$python" --version)"
        "$python" -m venv --clear "$root/.venv"
        return
    fi
    if ! python=$(find_python venv); then
        say 'There is no Python 3.11 or newer on the PATH: install one and try again.'
        return 1
    fi
    say "Making .venv with $("$python" --version), and pip from a package of the system"
    "$python" -m venv --clear --without-pip "$root/.venv"
    if ! "$root/scripts/_unpack" "$root/.servers" python3-pip-whl; then
        say 'This Python cannot install pip. Debian and Ubuntu: sudo apt-get install python3-venv'
        return 1
    fi
    for wheel in "$root"/.servers/usr/share/python-wheels/pip-*.whl; do
        "$venv_python" "$wheel/pip" install -qq --no-input --no-index "$wheel"
    done
}

# What an installation depends on. An editable one names the checkout's path.
describe_installation() {
    printf '%s\n' "$root"
    cat -- "$root/pyproject.toml"
}

make_environment() {
    stamp=$root/.venv/.installed-${1:-alone}
    # Two commands may run at once. The kernel frees this lock whatever becomes of its holder,
    # and pip inherits it, so that nobody meets a half-made environment.
    exec 9<"$root/pyproject.toml"
    # Some network file systems have no such locks: there, the first two runs may collide.
    locker=$(find_python fcntl) && "$locker" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)' 2>/dev/null || :
    if [ "$(cat -- "$stamp" 2>/dev/null)" != "$(describe_installation)" ] ||
        ! "$venv_python" -c '' 2>/dev/null; then
        install_environment "$1"
        describe_installation >"$stamp"
    fi
    exec 9<&-
}

install_environment() {
    if ! "$venv_python" -m pip --version >/dev/null 2>&1; then
        make_venv || exit 1
    fi
    say "Installing cardlink-sql${1:+[$1]} into .venv"
    "$venv_python" -m pip install -qq --disable-pip-version-check --no-input \
        --editable "$root${1:+[$1]}" || exit 1
}
