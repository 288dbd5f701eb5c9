/*
 * Anyone can send X-Forwarded-For. Its entries are believed from the right, each only because the
 * one behind it is a configured proxy; the first that is not one is the client.
 */
#include "net/forwarded.h"

/* "192.0.2.1:80" and "[2001:db8::1]:80" without the port; proxies write both. */
static struct str without_port(struct str s)
{
    int64_t colon = str_rfind(s, ':');
    if (colon < 0)
        return s;
    if (s.p[0] == '[')
        return s.p[s.n - 1] == ']' ? s : str_sub(s, 0, (size_t)colon);
    return str_find(s, ':') == colon ? str_sub(s, 0, (size_t)colon) : s;
}

/* Takes the last entry off a list. */
static struct str cut_last(struct str *list)
{
    int64_t comma = str_rfind(*list, ',');
    size_t from = comma < 0 ? 0 : (size_t)comma + 1;
    struct str last = str_trim(str_sub(*list, from, list->n));
    *list = str_sub(*list, 0, comma < 0 ? 0 : (size_t)comma);
    return last;
}

/* Walks one header from the right; false when the walk is over. */
static bool walk(const struct cidrs *believed, struct str list, struct str *client)
{
    while (list.n) {
        struct str entry = without_port(cut_last(&list));
        struct address a;
        if (!address_parse(entry, &a))
            return false;
        if (entry.p[0] == '[')
            entry = str_sub(entry, 1, entry.n - 2);
        *client = entry;
        if (!cidrs_match(believed, &a))
            return false;
    }
    return true;
}

void forwarded_apply(const struct cidrs *believed, struct str peer, const struct header *headers,
                     size_t count, struct str *client, bool *https)
{
    bool walking = true, proto = false;
    *client = peer;
    if (!cidrs_match_text(believed, peer))
        return;
    for (size_t i = count; i-- > 0;) {
        if (walking && str_eq_nocase(headers[i].name, S("x-forwarded-for")))
            walking = walk(believed, headers[i].value, client);
        if (!proto && str_eq_nocase(headers[i].name, S("x-forwarded-proto"))) {
            struct str list = headers[i].value;
            *https = str_eq_nocase(cut_last(&list), S("https"));
            proto = true;
        }
    }
}
