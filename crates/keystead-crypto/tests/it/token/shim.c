/* A PKCS #11 module for tests: SoftHSM2's, with answers that a test can change while it runs.
 *
 * A file FUNCTION in the folder SHIM_FOLDER changes what the function does: "hang" lets its callers
 * wait until the file is gone, a number is what it answers. Calls are counted in FUNCTION.calls, a
 * byte each. The list of functions is PKCS #11 version 2.40's, of pointers behind a version.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef unsigned long word;
typedef word (*function)(word, word, word, word, word, word, word, word);
struct list {
    unsigned char version[2];
    function functions[68];
};

/* Places in the list. */
enum { INITIALIZE = 0, TOKEN_INFO = 6, LOGIN = 18, SIGN_INIT = 42, GENERATE_KEY = 58 };

static struct list real, ours;

static int says(const char *name, word *answer) {
    char path[4096], text[32] = "";
    int file;
    snprintf(path, sizeof path, "%s/%s", getenv("SHIM_FOLDER"), name);
    file = open(path, O_RDONLY);
    if (file < 0) return 0;
    if (read(file, text, sizeof text - 1) < 0) text[0] = 0;
    close(file);
    if (!strncmp(text, "hang", 4)) {
        while (!access(path, F_OK)) usleep(1000);
        return 0;
    }
    *answer = strtoul(text, NULL, 0);
    return 1;
}

static void count(const char *name) {
    char path[4096];
    int file;
    snprintf(path, sizeof path, "%s/%s.calls", getenv("SHIM_FOLDER"), name);
    file = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (file < 0 || write(file, "x", 1) != 1) abort();
    close(file);
}

#define WRAP(wrapper, place, name)                                                    \
    static word wrapper(word a, word b, word c, word d, word e, word f, word g, word h) { \
        word answer;                                                                  \
        count(name);                                                                  \
        if (says(name, &answer)) return answer;                                       \
        return real.functions[place](a, b, c, d, e, f, g, h);                         \
    }
WRAP(initialize, INITIALIZE, "C_Initialize")
WRAP(login, LOGIN, "C_Login")
WRAP(sign_init, SIGN_INIT, "C_SignInit")
WRAP(generate_key, GENERATE_KEY, "C_GenerateKey")

/* CKF_USER_PIN_FINAL_TRY or CKF_USER_PIN_LOCKED, set in the flags of CK_TOKEN_INFO. */
static word token_info(word slot, word info, word c, word d, word e, word f, word g, word h) {
    word answer, flags, rv;
    count("C_GetTokenInfo");
    rv = real.functions[TOKEN_INFO](slot, info, c, d, e, f, g, h);
    if (says("C_GetTokenInfo", &answer)) return answer;
    if (rv == 0 && says("flags", &flags)) *(word *)(info + 96) |= flags;
    return rv;
}

word C_GetFunctionList(struct list **list) {
    word (*theirs)(struct list **);
    struct list *found;
    void *module = dlopen(getenv("SHIM_MODULE"), RTLD_NOW | RTLD_LOCAL);
    if (!module) return 5;
    theirs = (word (*)(struct list **))dlsym(module, "C_GetFunctionList");
    if (!theirs || theirs(&found)) return 5;
    real = ours = *found;
    ours.functions[INITIALIZE] = initialize;
    ours.functions[TOKEN_INFO] = token_info;
    ours.functions[LOGIN] = login;
    ours.functions[SIGN_INIT] = sign_init;
    ours.functions[GENERATE_KEY] = generate_key;
    *list = &ours;
    return 0;
}
