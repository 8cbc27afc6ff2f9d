package admin

const (
	usersPath    = "/api/users"
	customPath   = "/api/custom/providers"
	tagsPath     = "/api/tags"
	policiesPath = "/api/policies"
	failoverPath = "/api/routes"
	tokensPath   = "/api/tokens"
)

var (
	customInvalid = label{"/errors/validation", "custom provider validation failed"}
	customMissing = label{"/errors/not-found", "custom provider is not found"}
	tagWords      = wording{
		invalid: label{"/errors/validation", "tag validation failed"},
		missing: label{"/errors/not-found", "tag is not found"},
		failed:  label{"/errors/tag-manager", "tag request failed"}}
	tokenWords = wording{
		invalid: label{"/errors/validation", "token validation failed"},
		missing: label{"/errors/not-found", "token is not found"},
		failed:  label{"/errors/token-manager", "token request failed"}}
)

// customWords is how calls on one custom provider or on all of them fail; the
// instance has never had the whole path.
func customWords(instance, failed string) wording {
	return wording{invalid: customInvalid, missing: customMissing,
		failed: label{"/errors/custom-provider-manager", failed}, instance: instance}
}

func userWords(invalid, missing, failed string) wording {
	return wording{invalid: label{"/errors/validation", invalid}, missing: label{"/errors/not-found", missing},
		failed: label{"/errors/user-manager", failed}}
}

// policyWords: a fault of the caller keeps the type of what the peer takes for its
// own.
func policyWords(kind, title string) wording {
	l := label{kind, title}
	return wording{invalid: l, missing: l, failed: l, instance: policiesPath}
}

func routeWords(failed string) wording {
	return wording{invalid: customInvalid, missing: label{"/errors/route-not-found", "route not found error"},
		failed: label{"/errors/route-manager", failed}}
}

// recordRoutes are the calls on what is kept as records.
var recordRoutes = []route{
	{"POST", usersPath, (*api).createUser, userWords("create user validation failed", "", "user creation error")},
	{"GET", usersPath, (*api).listUsers, wording{
		invalid: label{"/errors/validation", "get users request validation failed"},
		failed:  label{"/errors/getting-keys", "getting keys errored out"}}},
	{"PATCH", usersPath, (*api).patchUserByName, userWords("update user validation failed", "update user error", "update user error")},
	{"GET", usersPath + "/:id", (*api).getUser, userWords("", "user is not found", "getting a user error")},
	{"PATCH", usersPath + "/:id", (*api).patchUser, userWords("update user validation failed", "update user error", "update user error")},
	{"DELETE", usersPath + "/:id", (*api).deleteUser, userWords("", "user is not found", "user deletion error")},

	{"POST", customPath, (*api).createCustom, customWords("/api/providers", "creating a custom provider error")},
	{"GET", customPath, (*api).listCustom, customWords("/api/providers", "getting custom providers error")},
	{"GET", customPath + "/:id", (*api).getCustom, customWords("/api/providers/:id", "getting a custom provider error")},
	{"PATCH", customPath + "/:id", (*api).patchCustom, customWords("/api/providers/:id", "updating a custom provider error")},
	{"DELETE", customPath + "/:id", (*api).deleteCustom, customWords("/api/providers/:id", "deleting a custom provider error")},

	{"PUT", tagsPath + "/:tag", (*api).putTag, tagWords},
	{"GET", tagsPath + "/:tag", (*api).getTag, tagWords},
	{"GET", tagsPath, (*api).listTags, tagWords},
	{"DELETE", tagsPath + "/:tag", (*api).deleteTag, tagWords},

	{"POST", policiesPath, (*api).createPolicy, policyWords("/errors/policies/creation", "policy creation failed")},
	{"GET", policiesPath, (*api).listPolicies, wording{
		invalid: label{"/errors/tags-empty", "query param tags is empty"},
		failed:  label{"/errors/policies", "get policies by tags failed"}, instance: policiesPath}},
	{"GET", policiesPath + "/:id", (*api).getPolicy, policyWords("/errors/policies", "getting a policy failed")},
	{"PATCH", policiesPath + "/:id", (*api).patchPolicy, policyWords("/errors/policie/updates", "update a policy failed")},
	{"DELETE", policiesPath + "/:id", (*api).deletePolicy, policyWords("/errors/policies/deletion", "policy deletion failed")},

	{"POST", failoverPath, (*api).createRoute, routeWords("creating a route error")},
	{"GET", failoverPath, (*api).listRoutes, routeWords("getting a route error")},
	{"GET", failoverPath + "/:id", (*api).getRoute, routeWords("getting a route error")},
	{"PATCH", failoverPath + "/:id", (*api).patchRoute, routeWords("updating a route error")},
	{"DELETE", failoverPath + "/:id", (*api).deleteRoute, routeWords("deleting a route error")},

	{"PUT", tokensPath, (*api).createToken, tokenWords},
	{"GET", tokensPath, (*api).listTokens, tokenWords},
	{"DELETE", tokensPath + "/:id", (*api).deleteToken, tokenWords},

	{"GET", "/api/audit", (*api).listAudit, wording{
		invalid: label{"/errors/validation", "audit request validation failed"},
		failed:  label{"/errors/audit", "getting the audit failed"}}},

	{"GET", settingPath, (*api).getSetting, wording{
		missing: settingNotFound,
		failed:  label{"/errors/provider-settings-manager", "get provider settings failed"}}},
}
