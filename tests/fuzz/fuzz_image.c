/* Image configurations. What is read must hold its promises: no property twice, no kind without a
   name for it, and nothing differs from itself. */
#include "rule/image.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(ctx_release) struct ctx c = {0};
    struct image_config a;
    struct list changes;
    struct raw_json attrs = {0};
    CLEANUP(json_done) json_t *back = NULL;
    enum err told = image_attrs(&c, (struct str){(const char *)data, size}, true, &attrs);
    if (told == E_OK && json_parse(&c, attrs.text, &back) != E_OK)
        abort();
    enum err e = image_config_parse(&c, (struct str){(const char *)data, size}, &a);
    if (e != E_OK && e != E_BAD_REQUEST)
        abort();
    if (e != E_OK)
        return 0;
    for (size_t i = 0; i < a.property_count; i++) {
        if (!a.properties[i].kind.n || !a.properties[i].name.p || !a.properties[i].value.p)
            abort();
        for (size_t k = 0; k < i && a.property_count < 200; k++)
            if (str_eq(a.properties[i].kind, a.properties[k].kind) &&
                str_eq(a.properties[i].name, a.properties[k].name))
                abort();
    }
    size_t layers = 0, at = 0;
    while (image_step_next(&a, &at))
        layers++;
    if (layers > a.step_count)
        abort();
    image_compare(&c.mem, &a, &a, &changes);
    if (changes.count && a.property_count < 200)
        abort();
    return 0;
}
