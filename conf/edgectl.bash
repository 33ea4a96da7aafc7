# SPDX-License-Identifier: Apache-2.0
# bash completion for edgectl(1)
_edgectl() {
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} verb='' i
	local verbs='status node nodes cluster why roles role services plugins invite join pair remove pub sub clients kick trace shadow thing policy key job api help version'
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--socket | --state) ((i++)) ;;
		-*) ;;
		*)
			verb=${COMP_WORDS[i]}
			break
			;;
		esac
	done
	COMPREPLY=()
	case $before in
	--socket | --state | --folder | --csr)
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		return
		;;
	esac
	local options='--socket --state --json --help'
	case $verb in
	invite | trace) options+=' --for' ;;
	kick) options+=' --session' ;;
	pub) options+=' --qos --retain' ;;
	sub) options+=' --count' ;;
	shadow) options+=' --name' ;;
	thing) options+=' --folder --policy --csr --for' ;;
	key) options+=' --policy --thing' ;;
	job) options+=' --description --for --rate --continuous --force' ;;
	esac
	if [[ $word == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
	elif [[ -z $verb ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$verbs" -- "$word")
	elif [[ $verb == shadow && $before == shadow ]]; then
		mapfile -t COMPREPLY < <(compgen -W 'get update delete' -- "$word")
	elif [[ $verb == role && $before == role ]]; then
		mapfile -t COMPREPLY < <(compgen -W 'pin veto clear' -- "$word")
	elif [[ $verb == role && ${COMP_WORDS[COMP_CWORD - 2]} == role ]]; then
		mapfile -t COMPREPLY < <(compgen -W 'networkProxy cache cloudGateway' -- "$word")
	elif [[ $verb == trace && $before == trace ]]; then
		mapfile -t COMPREPLY < <(compgen -W 'client topic' -- "$word")
	elif [[ $verb == thing && $before == thing ]]; then
		mapfile -t COMPREPLY < <(compgen -W 'create list show rotate disable enable delete pair' -- "$word")
	elif [[ $verb == policy && $before == policy ]]; then
		mapfile -t COMPREPLY < <(compgen -W 'create list show attach detach delete' -- "$word")
	elif [[ $verb == key && $before == key ]]; then
		mapfile -t COMPREPLY < <(compgen -W 'create list enable disable delete' -- "$word")
	elif [[ $verb == job && $before == job ]]; then
		mapfile -t COMPREPLY < <(compgen -W 'create list describe cancel delete' -- "$word")
	elif [[ $verb == api && $before == api ]]; then
		mapfile -t COMPREPLY < <(compgen -W 'GET POST PUT PATCH DELETE' -- "$word")
	fi
}
complete -F _edgectl edgectl
