# shellcheck shell=bash
# A directory for user federation: Debian's slapd on loopback, with a few people
# and a group. One password, made at random, is everybody's.

LDAP_DIR=$STATE/ldap
LDAP_SUFFIX=dc=corp,dc=example

ldap_built() { [[ -z $(packages_missing LDAP_PACKAGE_FILES) ]]; }
ldap_build() { packages_install LDAP_PACKAGE_FILES; }

ldap_start() {
	process_alive ldap && return 0
	ldap_reset
	mkdir -p "$LDAP_DIR/db"
	(umask 077 && openssl rand -hex 12 >"$LDAP_DIR/password")
	(umask 077 && ldap_config >"$LDAP_DIR/slapd.conf")
	ldap_people | /usr/sbin/slapadd -f "$LDAP_DIR/slapd.conf"
	# -d keeps it in the foreground; level 0 says nothing.
	process_start ldap /usr/sbin/slapd -d 0 -f "$LDAP_DIR/slapd.conf" -h "$LDAP_URL"
	process_ready ldap 30 ldap_healthy
}

ldap_healthy() { (exec 3<>"/dev/tcp/127.0.0.1/$LDAP_PORT"); }

ldap_config() {
	cat <<-TEXT
		include /etc/ldap/schema/core.schema
		include /etc/ldap/schema/cosine.schema
		include /etc/ldap/schema/inetorgperson.schema
		modulepath /usr/lib/ldap
		moduleload back_mdb
		pidfile $LDAP_DIR/slapd.pid
		argsfile $LDAP_DIR/slapd.args
		database mdb
		suffix "$LDAP_SUFFIX"
		directory $LDAP_DIR/db
		access to attrs=userPassword by anonymous auth by * none
		access to * by users read by * none
	TEXT
}

ldap_people() {
	cat <<-TEXT
		dn: $LDAP_SUFFIX
		objectClass: dcObject
		objectClass: organization
		dc: corp
		o: Corp

		dn: cn=keycloak,$LDAP_SUFFIX
		objectClass: organizationalRole
		objectClass: simpleSecurityObject
		cn: keycloak
		userPassword: $(<"$LDAP_DIR/password")

		dn: ou=people,$LDAP_SUFFIX
		objectClass: organizationalUnit
		ou: people

		dn: ou=groups,$LDAP_SUFFIX
		objectClass: organizationalUnit
		ou: groups

	TEXT
	ldap_person ada Ada Lovelace
	ldap_person alan Alan Turing
	cat <<-TEXT
		dn: cn=data-science,ou=groups,$LDAP_SUFFIX
		objectClass: groupOfNames
		cn: data-science
		member: uid=ada,ou=people,$LDAP_SUFFIX
	TEXT
}

ldap_person() {
	cat <<-TEXT
		dn: uid=$1,ou=people,$LDAP_SUFFIX
		objectClass: inetOrgPerson
		uid: $1
		cn: $2 $3
		givenName: $2
		sn: $3
		mail: $1@corp.example
		userPassword: $(<"$LDAP_DIR/password")

	TEXT
}

ldap_stop() { process_stop ldap; }

ldap_reset() { rm -rf "$LDAP_DIR"; }
