#!/usr/bin/env bash
# `curl -N` and a shell: the last id goes into the header of the next request.
set -u
last="" id="" status=""
while [[ $status != 204 ]]; do
    unset data event # what came of a frame before a cut doesn't count
    while IFS= read -r line; do
        case $line in
            "id: "*) id=${line#id: } ;;
            "data: "*) data=${line#data: } ;;
            "event: "*) event=1 ;;
            "status: "*) status=${line#status: } ;;
            "")
                [[ -n ${data-} && -z ${event-} ]] && printf '%s\t%s\n' "$id" "$data"
                last=$id
                unset data event
                ;;
        esac
    done < <(curl -sN --noproxy '*' ${last:+-H "Last-Event-ID: $last"} -w '\nstatus: %{http_code}\n' "$1")
    sleep 1
done
printf 'end\t%s\n' "$status"
